import { ConfigError } from './config.stores.js';

/** What an address that cannot be listened at comes to: the setting that names it, and what to do. @param error what the listening said */
export const notListening = (
  error: unknown,
  { host, port }: { readonly host: string; readonly port: number },
): unknown => {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'EADDRINUSE':
      return new ConfigError(
        `LETHE_PORT: something listens at ${host}:${port} already. Stop it, or take another port (0: any free one)`,
      );
    case 'EACCES':
      return new ConfigError(`LETHE_PORT: this user may not listen at port ${port}. Take one from 1024`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigError(`LETHE_HOST: this machine has no address ${host}. Name one of its own`);
    default:
      return error;
  }
};
