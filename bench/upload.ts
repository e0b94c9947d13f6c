import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as open, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { residentOf, watching } from './memory-of.js';
import { compiled } from './places.js';
import { startLethe, startServer, using, type Server } from './processes.js';
import { table, told, type Benchmark } from './report.js';
import { fixed, median, spread } from './statistics.js';

const MIB = 2 ** 20;
const LEAST_SHARE = 0.7;
const MOST_MIB = 64;

const CHUNK = 256 * 1024;
/** Random bytes, sent again and again; each chunk begins with its number and its upload's, so that no two chunks are the same. */
const POOL = randomBytes(64 * MIB);

const contentOf = function* (size: number, upload: number): Generator<Buffer> {
  for (let sent = 0; sent < size; sent += CHUNK) {
    const at = sent % POOL.length;
    const chunk = POOL.subarray(at, at + Math.min(CHUNK, size - sent));
    chunk.writeUInt32LE(upload, 0);
    chunk.writeUInt32LE(sent / CHUNK, 4);
    yield chunk;
  }
};

const BOUNDARY = 'a-boundary-that-is-not-in-the-content';
const BEFORE = Buffer.from(
  [
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="metadata"',
    '',
    JSON.stringify({ description: 'Uploaded by a benchmark' }),
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="content"; filename="content.bin"',
    'Content-Type: application/octet-stream',
    '',
    '',
  ].join('\r\n'),
);
const AFTER = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
const NOTHING = Buffer.alloc(0);

interface Sent {
  readonly seconds: number;
  readonly status: number;
  readonly body: string;
}

/** Sends content as fast as it is taken. */
const send = async (url: string, size: number, upload: number, multipart: boolean): Promise<Sent> => {
  const [before, after] = multipart ? [BEFORE, AFTER] : [NOTHING, NOTHING];
  const began = performance.now();
  const request = open(url, {
    method: 'POST',
    agent: false,
    headers: {
      'content-type': multipart ? `multipart/form-data; boundary=${BOUNDARY}` : 'application/octet-stream',
      'content-length': before.length + size + after.length,
    },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  answered.catch(() => undefined); // it is awaited below; a broken connection ends the loop first
  const write = async (bytes: Buffer): Promise<void> => {
    if (bytes.length > 0 && !request.write(bytes)) await once(request, 'drain');
  };
  await write(before);
  for (const chunk of contentOf(size, upload)) await write(chunk);
  request.end(after);
  const [response] = await answered;
  const body = await text(response);
  return { seconds: (performance.now() - began) / 1_000, status: response.statusCode ?? 0, body };
};

interface Measured {
  readonly perSecond: number;
  readonly growth: number;
}

/** One upload at a time: to the floor, to Lethe, to the floor, … */
export const upload: Benchmark = async ({ quick, rounds, folders, say }) => {
  const size = (quick ? 128 : 1_024) * MIB;
  let uploads = 0;

  const measured = async (server: Server, path: string, multipart: boolean): Promise<Measured & { sent: Sent }> => {
    const before = residentOf(server.pid);
    uploads += 1;
    const { outcome: sent, most } = await watching(server.pid, () =>
      send(`${server.url}${path}`, size, uploads, multipart),
    );
    return { perSecond: size / MIB / sent.seconds, growth: most - before, sent };
  };

  /** An upload that came through whole, by what its receiver says of it. */
  const checked = async (server: Server, path: string, multipart: boolean): Promise<Measured> => {
    const { sent, ...run } = await measured(server, path, multipart);
    const md5 = createHash('md5');
    for (const chunk of contentOf(size, uploads)) md5.update(chunk);
    const hash = md5.digest('base64url');
    if (sent.status === (multipart ? 201 : 200) && sent.body.includes(hash)) return run;
    throw new Error(`an upload was answered ${sent.status}, not with the MD5 ${hash}: ${sent.body.slice(0, 500)}`);
  };

  const floorData = folders.empty('upload-floor');
  return using(await startServer(compiled('upload-floor.js'), { FLOOR_DATA: floorData }), async (floor) =>
    using(await startLethe(folders.empty('upload')), async (lethe) => {
      const sender = await measured(floor, '/nowhere', false);
      say(`the sender alone: ${fixed(sender.perSecond, 0)} MiB/s`);
      const runs: { floor: Measured; lethe: Measured }[] = [];
      for (let number = 1; number <= rounds; number += 1) {
        const bare = await checked(floor, '/file', false);
        const whole = await checked(lethe, '/v1/files', true);
        runs.push({ floor: bare, lethe: whole });
        say(
          `round ${number}: floor ${fixed(bare.perSecond, 0)} MiB/s, Lethe ${fixed(whole.perSecond, 0)} MiB/s, ` +
            `memory +${fixed(whole.growth, 0)} MiB`,
        );
      }
      const ratios = runs.map((run) => run.lethe.perSecond / run.floor.perSecond);
      const growths = runs.map((run) => run.lethe.growth);
      const what = `Upload of ${fixed(size / MIB, 0)} MiB`;
      return {
        results: [
          {
            what: `${what}, as a share of a bare stream to a file with MD5 and fsync`,
            measured: `${spread(ratios, 2)}, ${fixed(median(runs.map((run) => run.lethe.perSecond)), 0)} MiB/s`,
            wanted: `at least ${LEAST_SHARE}`,
            met: median(ratios) >= LEAST_SHARE,
          },
          {
            what: `${what}, memory added at most`,
            measured: `${fixed(Math.max(...growths), 0)} MiB`,
            wanted: `less than ${MOST_MIB} MiB`,
            met: Math.max(...growths) < MOST_MIB,
          },
          told(`${what} by the sender alone, its bytes thrown away`, `${fixed(sender.perSecond, 0)} MiB/s`),
        ],
        details: [
          `${fixed(size / MIB, 0)} MiB of random bytes, no two uploads the same, one upload at a time on a connection of its own, in turns; every MD5 is checked. ` +
            'The floor is `node:http`, the request piped into an MD5 and a file, and an fsync. Memory is the highest of a look every 50 ms ' +
            'during an upload, less what the process held right before; the first upload comes right after the start.',
          table(
            ['round', 'floor, MiB/s', 'Lethe, MiB/s', 'share', 'memory added: floor, MiB', 'Lethe, MiB'],
            runs.map((run, index) => [
              String(index + 1),
              fixed(run.floor.perSecond, 0),
              fixed(run.lethe.perSecond, 0),
              fixed(run.lethe.perSecond / run.floor.perSecond, 2),
              fixed(run.floor.growth, 0),
              fixed(run.lethe.growth, 0),
            ]),
          ),
        ].join('\n\n'),
      };
    }),
  );
};
