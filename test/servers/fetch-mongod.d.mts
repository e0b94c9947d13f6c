export function fetchMongod(): Promise<string>;
