import type { Fetch } from './transport.js';

/** A service in this process. */
export interface InProcess {
  /** `fetch` to it, without a port. A request hears its signal. */
  readonly fetch: Fetch;
  readonly close: () => Promise<void>;
}

/**
 * Opens the service on a data folder, in this process, without a port and without keys: whoever may open the folder needs nobody's leave.
 * @param environment the variables that configure it
 * @throws FolderLocked where another process holds the folder; ConfigError and others where it cannot be opened
 */
export const openInProcess = async (
  data: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<InProcess> => {
  const [{ openService }, { readConfig }] = await Promise.all([import('../service.js'), import('../config.js')]);
  const config = readConfig({ LETHE_LOG_LEVEL: 'error', ...environment, LETHE_DATA: data });
  const service = await openService({ ...config, apiKeys: [] });
  return {
    fetch: (request) => service.fetch(request),
    close: () => service.close(),
  };
};
