import type { Ledger, Violation } from './kill.ledger.js';
import type { Disk } from './kill.disk.js';
import type { Command, Heard, World } from './kill.world.js';

/** What the test knows by itself of what it reports on. */
export interface Known extends Pick<World, 'commands'> {
  readonly disk: Pick<Disk, 'scan'>;
}

/** Beyond these there is nothing more to learn from one run. */
const MOST = 8;
const TRACES = 3;
const LOG_LINES = 15;

/** What went wrong, for a person: every violation, then the story of each record that one is about. */
export const report = (found: readonly Violation[], world: Known, ledger: Ledger, log: string): string => {
  const lines = found.slice(0, MOST).map(({ what, record }) => `- ${record ?? 'the service'}: ${what}`);
  if (found.length > MOST) lines.push(`- and ${found.length - MOST} more`);
  const records = [...new Set(found.map(({ record }) => record))].filter((record) => record !== null);
  const traces = records.slice(0, TRACES).map((record) => trace(record, world, ledger));
  const warnings = log
    .split('\n')
    .filter((line) => /"level":(40|50|60)/.test(line))
    .slice(-LOG_LINES);
  const said = warnings.length === 0 ? [] : [`The service said:\n${warnings.join('\n')}`];
  return [`${found.length} violations`, lines.join('\n'), ...traces, ...said].join('\n\n');
};

/** A record's events, the commands that named it, what lies at its place, and whoever else has its object there. */
const trace = (record: string, world: Known, ledger: Ledger): string => {
  const events = (ledger.streams.get(record) ?? []).map(({ event, meta, revision, position }) => {
    const { type, ...data } = event;
    return `  ${revision} @${position} ${type} by ${meta.actor} in ${meta.correlationId} at ${meta.at} ${JSON.stringify(data)}`;
  });
  const uid = record.split('/')[1] ?? record;
  const commands = [...world.commands.values()]
    .filter(
      ({ url, heard }) => url.includes(uid) || heard.some((each) => each.kind === 'answer' && each.record === record),
    )
    .map((command) => `  ${told(command)}`);
  return [record, ...events, ' commands', ...commands, ...around(record, world, ledger)].join('\n');
};

const told = ({ id, method, url, key, json, metadata, headers, heard }: Command): string => {
  const body = JSON.stringify(metadata ?? json) ?? '';
  const also = JSON.stringify(headers);
  return `${id} ${method} ${url} ${key ?? 'without a key'} ${body} ${also} → ${heard.map(answer).join('; ')}`;
};

const answer = (heard: Heard): string => {
  if (heard.kind === 'lost') return 'nothing';
  const { status, said, detail, etag, position, replayed } = heard;
  const where = etag === null ? '' : ` revision ${etag} @${position}`;
  return `${status} ${said}${where}${replayed ? ' replayed' : ''}${detail === '' ? '' : ` (${detail})`}`;
};

const around = (record: string, world: Known, ledger: Ledger): string[] => {
  const fields = ledger.states.get(record)?.fields;
  if (fields?.kind !== 'file') return [];
  const location = ledger.locate(fields);
  const lines = [` at ${location}`];
  for (const lain of world.disk.scan().values()) {
    if (lain.location.startsWith(location)) lines.push(`  lies ${lain.location} ${lain.etag} ${lain.size} ${lain.md5}`);
  }
  for (const [other, { fields: theirs, purge }] of ledger.states) {
    if (theirs.kind !== 'file' || other === record) continue;
    const place = ledger.locate(theirs);
    if (!place.startsWith(location) && !(place.endsWith('/') && location.startsWith(place))) continue;
    const steps = (ledger.streams.get(other) ?? []).map(({ event, position }) => `${event.type}@${position}`);
    lines.push(`  also ${other} at ${place} ${purge === null ? 'live' : 'purged'}: ${steps.join(' ')}`);
  }
  return lines;
};
