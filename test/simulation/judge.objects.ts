import { createHash } from 'node:crypto';
import { isLive, locationIn, overlap, type Request, type Tale, type Told } from './judge.fold.js';
import type { Deletion, Outcome } from './world.js';

/** I3 and I7: what is gone, and what is still there. */
export const objectsAre = (outcome: Outcome, tale: Tale): string[] => {
  const files = [...tale.records.values()].filter(({ fields }) => fields.kind === 'file');
  return [
    ...outcome.deletions.flatMap((deletion) => justified(outcome, tale, files, deletion)),
    ...files.flatMap((file) => [...ended(outcome, tale, file), ...(isLive(file) ? present(outcome, tale, file) : [])]),
  ];
};

interface Named {
  readonly location: string;
  readonly etag: string;
}

/** What a deletion named when it started, object by object. */
const namedBy = ({ written, objects }: Outcome, { records }: Tale, file: Told, { started }: Request): Named[] => {
  const seen = started?.seen ?? null;
  const location = locationIn(records, file.fields);
  if (seen === null) return [];
  if (seen.kind === 'file') return [{ location, etag: seen.etag }];
  const place = placeOf(records, file);
  const listing =
    seen.manifest === null
      ? undefined
      : [...written].find(([key]) => key.startsWith(`${place}${seen.manifest ?? ''} `))?.[1];
  if (listing === undefined || objects === undefined) return [];
  const lines = listing.content
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const { path, etag } = JSON.parse(line) as { path: string; etag: string };
    return { location: place + path, etag };
  });
};

const placeOf = (records: Tale['records'], { fields }: Told): string =>
  fields.kind === 'file' ? locationIn(records, fields).slice(0, -fields.path.length) : '';

/** Whatever Lethe takes away is an upload's own that no event names, a listing of its own, or named by a deletion that the table allows. */
const justified = (
  outcome: Outcome,
  tale: Tale,
  files: readonly Told[],
  { location, etag, head, mistaken }: Deletion,
): string[] => {
  // The store's doing. What counts is that nobody's object lies there so soon: `present` says so.
  if (mistaken) return [];
  const requests = files.flatMap((file) => file.requests.map((request) => ({ file, request })));
  const named = requests.some(
    ({ file, request }) =>
      request.started !== null &&
      request.started.position <= head &&
      request.fate === 'delete' &&
      namedBy(outcome, tale, file, request).some((each) => each.location === location && each.etag === etag),
  );
  if (named) return [];
  if (location.includes('/.lethe/deletions/')) {
    const open = requests.find(
      ({ request: { started, kept, deleted } }) =>
        started?.seen?.kind === 'folder' &&
        started.seen.manifest !== null &&
        location.endsWith(started.seen.manifest) &&
        (kept ?? deleted) === null,
    );
    return open === undefined
      ? []
      : [`I3 the listing ${location} was taken away before ${open.file.key} was dealt with`];
  }
  const registered = files.find((file) => locationIn(tale.records, file.fields) === location);
  if (location.includes('/.lethe/') && registered === undefined) return [];
  return [`I3 ${location} (${etag}) was deleted at ${head}, and nothing asks for it`];
};

/** A purge that has ended did to its object what the table says. */
const ended = (outcome: Outcome, tale: Tale, file: Told): string[] => {
  const { objects, outsiders, written } = outcome;
  const location = locationIn(tale.records, file.fields);
  return file.requests.flatMap((request) => {
    const { fate, kept, deleted, keepAsked, started, position, event } = request;
    if (request.ended === null) return [];
    const faults: string[] = [];
    const where = `I3 the purge of ${file.key} (${fate})`;
    const should = fate === 'delete' ? deleted !== null || keepAsked !== null : kept?.why === fate;
    if (!should) faults.push(`${where} ended with ${kept === null ? 'ObjectDeleted' : `ObjectKept ${kept.why}`}`);
    if (kept !== null && deleted !== null)
      faults.push(`${where} says both that its object is kept and that it is gone`);
    const named = namedBy(outcome, tale, file, request);
    const own = file.fields.kind === 'file' && file.fields.seen?.kind === 'file' ? file.fields.seen.etag : null;
    if (event.withdraws !== null && named.some(({ etag }) => etag !== own))
      faults.push(`${where} takes back an upload, and names what that did not write`);
    if (deleted !== null)
      for (const each of named)
        if (objects.at(each.location)?.seen.etag === each.etag)
          faults.push(`${where} left ${each.location} (${each.etag})`);
    if (kept !== null && started !== null)
      for (const each of named)
        if (
          objects.at(each.location)?.seen.etag !== each.etag &&
          !outsiders.has(`${each.location} ${each.etag}`) &&
          !goneFor(outcome, tale, file, each)
        )
          faults.push(`${where} kept its object, and ${each.location} (${each.etag}) is gone`);
    if (deleted !== null && event.withdraws === null && keepAsked === null)
      for (const left of objects.locations()) {
        const there = objects.at(left)?.seen.etag ?? '';
        const own = left.includes('/.lethe/') && !location.includes('/.lethe/');
        const old = (written.get(`${left} ${there}`)?.head ?? Infinity) < position;
        if (overlapsDown(location, left) && old && !own)
          faults.push(`${where} left ${left} (${there}), which lay there before`);
      }
    return faults;
  });
};

/** Another record's purge, later, may take away what this one's kept. */
const goneFor = (outcome: Outcome, tale: Tale, file: Told, { location, etag }: Named): boolean =>
  [...tale.records.values()].some(
    (other) =>
      other !== file &&
      other.fields.kind === 'file' &&
      other.requests.some((request) =>
        namedBy(outcome, tale, other, request).some((each) => each.location === location && each.etag === etag),
      ),
  );

const overlapsDown = (object: string, location: string): boolean =>
  object === location || (object.endsWith('/') && location.startsWith(object));

/** A live record has the object that it was registered with, unless somebody else took it. */
const present = ({ objects, outsiders, written, deletions }: Outcome, { records }: Tale, file: Told): string[] => {
  const { fields, registered } = file;
  if (fields.kind !== 'file') return [];
  const location = locationIn(records, fields);
  const faults: string[] = [];
  if (fields.seen?.kind === 'file') {
    const { etag } = fields.seen;
    if (objects.at(location)?.seen.etag !== etag && !outsiders.has(`${location} ${etag}`))
      faults.push(`I7 ${file.key} is live and its object ${location} (${etag}) is gone`);
    const content = written.get(`${location} ${etag}`)?.content;
    if (content !== undefined && createHash('md5').update(content).digest('base64url') !== fields.hash)
      faults.push(`I1 ${file.key} says a hash that its object ${location} does not have`);
  }
  const since = Number(registered.event.seenAt ?? registered.position);
  for (const deletion of deletions) {
    // What came after this record was registered is not its object; nor are an upload's own bytes that no event names.
    const came = written.get(`${deletion.location} ${deletion.etag}`)?.head ?? 0;
    if (deletion.head <= since || came > registered.position || isNobodys(records, deletion.location)) continue;
    if (overlap(location, deletion.location))
      faults.push(
        `I7 ${file.key} is live, and ${deletion.location} was deleted at ${deletion.head} after it was seen at ${since}`,
      );
  }
  return faults;
};

const isNobodys = (records: Tale['records'], location: string): boolean =>
  location.includes('/.lethe/') &&
  ![...records.values()].some(({ fields }) => fields.kind === 'file' && locationIn(records, fields) === location);
