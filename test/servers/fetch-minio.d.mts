export function fetchMinio(): Promise<string>;
