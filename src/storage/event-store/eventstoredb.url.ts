/** A connection string that may be handed to the client, and where it leads, for messages: without its user, password and files. */
export interface Connection {
  readonly url: string;
  readonly place: string;
}

/** What the client reads, and does what it says with. Whatever else it is given, it prints, password and all. */
const OPTIONS = [
  'tls',
  'tlsCAFile',
  'userCertFile',
  'userKeyFile',
  'nodePreference',
  'maxDiscoverAttempts',
  'discoveryInterval',
  'gossipTimeout',
  'keepAliveInterval',
  'keepAliveTimeout',
  'connectionName',
];

const TAKES = 'It takes esdb://[user:password@]host:port[?tls=false], or esdb+discover:// for a cluster';

/**
 * Reads a connection string just far enough that no error of the client's has to be shown: those repeat it.
 *
 * @throws TypeError: it is none; the message holds nothing of it but the name of an option
 */
export const readConnection = (url: string): Connection => {
  const parts = /^esdb(\+discover)?:\/\/(?:[^:@/?]+:[^@/?]+@)?([^@/?]+)\/*(?:\?(.*))?$/.exec(url.trim());
  const hosts = parts?.[2];
  if (hosts === undefined) throw new TypeError(`the event store's connection string cannot be read. ${TAKES}`);
  for (const pair of (parts?.[3] ?? '').split('&').filter((each) => each !== '')) {
    const name = pair.split('=', 1)[0] ?? '';
    if (!OPTIONS.some((option) => flat(option) === flat(name))) {
      throw new TypeError(
        `the event store's connection string has an option ${name}, which is none of ${OPTIONS.join(', ')}. ${TAKES}`,
      );
    }
  }
  return { url: url.trim(), place: `EventStoreDB at ${hosts}` };
};

/** As the client compares the names of options. */
const flat = (name: string): string => name.trim().toLowerCase().replace(/[_-]/g, '');
