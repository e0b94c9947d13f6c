import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './load.js';
import { peakOf, residentOf, watching } from './memory-of.js';
import { startLethe, using } from './processes.js';
import { told, type Benchmark } from './report.js';
import { Deck, list, restore, trash } from './requests.js';
import { fixed } from './statistics.js';

/** What the service holds, at rest and under load. */
export const memory: Benchmark = async ({ quick, folders, say }) => {
  const empty = folders.empty('memory');
  const large = await folders.ready('large', quick ? 20_000 : 1_000_000);
  const amount = quick ? 1_000 : 10_000;
  const restMs = quick ? 1_000 : 5_000;
  const mib = (size: number): string => `${fixed(size, 0)} MiB`;

  const atRest = await using(await startLethe(empty), async ({ pid }) => {
    await sleep(restMs);
    return residentOf(pid);
  });
  return using(await startLethe(large.path), async ({ pid, url }) => {
    await sleep(restMs);
    const largeAtRest = residentOf(pid);
    const visible = new Deck([...large.untouched]);
    const trashed = new Deck([]);
    const wanted = { url, connections: 64, status: 200 };
    const trashing = await watching(pid, () => load({ ...wanted, amount, next: trash(visible, trashed) }));
    await load({ ...wanted, amount, next: restore(trashed, visible) });
    const listing = await watching(pid, () => load({ ...wanted, amount: amount / 5, next: list }));
    await sleep(restMs);
    const after = residentOf(pid);
    say(`at rest ${mib(atRest)}, trashing ${mib(trashing.most)}, listing ${mib(listing.most)}`);
    const records = `${fixed(large.records, 0)} records`;
    return {
      results: [
        told('Memory at rest, an empty folder', mib(atRest)),
        told(`Memory at rest, ${records}`, mib(largeAtRest)),
        told(`Memory while 64 connections trash, ${records}`, mib(trashing.most)),
        told(`Memory while 64 connections list, ${records}`, mib(listing.most)),
      ],
      details:
        `Resident memory of the process, all its threads in it, from \`/proc\`: ${fixed(restMs / 1_000, 0)} s after the start, and the highest of a look every 50 ms. ` +
        `${fixed(amount, 0)} trashings, as many restorings, ${fixed(amount / 5, 0)} lists of 50. ` +
        `${fixed(restMs / 1_000, 0)} s after the load it held ${mib(after)}; the most that the kernel ever saw was ${mib(peakOf(pid))}.`,
    };
  });
};
