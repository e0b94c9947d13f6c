import { connect, Purged, type FileRecord, type HistoryAnswer, type Lethe } from 'lethe';
import { z } from 'zod';

/*
 * What became of a file: by its uid, or by a key that it has or had when it was registered. A purged file is found too, since the log keeps
 * what a query no longer shows. Against the service at LETHE_URL.
 */

const [wanted] = process.argv.slice(2);
if (wanted === undefined) throw new Error('usage: what-became-of <uid or key>');

const registration = z.object({ fields: z.object({ key: z.string().nullable() }) });

const uidsOf = async (lethe: Lethe, named: string): Promise<Set<string>> => {
  const uids = new Set<string>();
  if (/^[0-9A-Za-z]{20}$/.test(named)) return uids.add(named);
  for await (const { uid } of lethe.files.filter({ key: named, visibility: null })) uids.add(uid);
  // Purged ones are in no list any more. This reads every registration of a file: for one key of a few, not for a nightly job.
  for await (const { uid, data } of lethe.audit({ registry: 'files', type: 'RecordRegistered' })) {
    if (registration.safeParse(data).data?.fields.key === named) uids.add(uid);
  }
  return uids;
};

const lineOf = ({ at, actor, type, reason }: HistoryAnswer): string =>
  [at, actor, type, ...(reason === null ? [] : [`"${reason}"`])].join('  ');

const WHERE = new Map<number, string>([
  [1, 'is visible'],
  [0, 'is hidden'],
  [-1, 'lies in the trash'],
]);

const fateOf = async (lethe: Lethe, uid: string): Promise<string> => {
  try {
    const { visibility, hold }: FileRecord = await lethe.files.get(uid);
    return `It ${WHERE.get(visibility) ?? `has visibility ${visibility}`}${hold === null ? '' : `, held by ${hold.by}`}.`;
  } catch (error) {
    if (!(error instanceof Purged)) throw error;
    const receipt = error.tombstone?.receipt;
    if (receipt == null) return 'It is being purged.';
    const { object, purgedBy, purgedAt } = receipt;
    const bytes =
      object === null ? 'It had no object.' : `Its ${object.bytes} bytes were ${object.fate}: ${object.why}.`;
    return `It was purged by ${purgedBy} at ${purgedAt}. ${bytes}`;
  }
};

await using lethe = await connect(process.env['LETHE_URL'] ?? 'http://127.0.0.1:4270');
const uids = await uidsOf(lethe, wanted);
if (uids.size === 0) console.log(`Nothing was ever registered as ${wanted}.`);
for (const uid of uids) {
  console.log(`files/${uid}`);
  for await (const row of lethe.files.history(uid)) console.log(`  ${lineOf(row)}`);
  console.log(`  ${await fateOf(lethe, uid)}`);
}
