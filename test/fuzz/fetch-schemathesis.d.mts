export function fetchSchemathesis(): Promise<string>;
