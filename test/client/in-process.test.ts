import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/connect.js';
import { temporaryFolder } from '../harness/service.js';

let data = '';

beforeEach(async () => {
  data = await temporaryFolder();
});

afterEach(async () => {
  await rm(data, { recursive: true, force: true });
});

const MIB = 1_048_576;

describe('a service in this process', () => {
  it('is closed by `await using`, and what it wrote is there for the next one', async () => {
    {
      await using lethe = await connect({ data, actor: 'alice' });
      await lethe.labels.add({ name: 'rna' });
    }
    await using again = await connect({ data });
    expect(await again.labels.filter().first()).toMatchObject({ name: 'rna' });
    const [created] = await again.labels.history((await again.labels.filter().all())[0]?.uid ?? '').all();
    expect(created).toMatchObject({ actor: 'alice' });
  });

  it('says who has the folder open', async () => {
    await using lethe = await connect({ data });
    await expect(connect({ data })).rejects.toThrow(`the data folder ${data} is in use by process ${process.pid}`);
    expect(await lethe.files.filter().count()).toBe(0);
  });

  it('breaks an upload off where its signal aborts, and keeps nothing of it', async () => {
    await using lethe = await connect({ data });
    const stopping = new AbortController();
    const reason = new Error('enough');
    let sent = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield new Uint8Array(MIB);
        sent += 1;
        if (sent === 8) stopping.abort(reason);
      }
    };
    await expect(lethe.files.add(endless, { signal: stopping.signal })).rejects.toBe(reason);
    expect(sent).toBeLessThan(64);
    expect(await lethe.files.filter({ visibility: null }).all()).toEqual([]);
    await expect
      .poll(async () => (await readdir(join(data, 'objects', '.lethe'), { recursive: true })).sort())
      .toEqual(['owner', 'tmp']);
  });

  it('streams an upload and its content, and lets a download be left', async () => {
    await using lethe = await connect({ data });
    const size = 40 * MIB;
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < size; at += MIB) yield new Uint8Array(MIB).fill(at / MIB);
    };
    const file = await lethe.files.add(bytes, { key: 'big.bin' });
    expect(file).toMatchObject({ size, suffix: '.bin' });
    const range = await file.content({ range: { start: MIB, end: MIB + 2 } });
    expect(range.status).toBe(206);
    expect([...new Uint8Array(await range.arrayBuffer())]).toEqual([1, 1, 1]);
    const { body } = await file.content();
    const reader = body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    await reader?.cancel();
    await file.delete({ permanent: true });
  });

  it('ends what is under way when it is closed', async () => {
    const lethe = await connect({ data });
    const stuck = async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(MIB);
      await new Promise(() => undefined); // nothing more ever comes
    };
    const adding = lethe.files.add(stuck);
    const refused = expect(adding).rejects.toThrow(/was closed/);
    await lethe.files.filter().all();
    await lethe.close();
    await refused;
    await lethe.close();
  });
});
