import { describe, expect, test } from 'vitest';
import { someLinger } from '../../src/projections/lingering.js';
import type { Seen } from '../../src/events/events.js';
import type { Ref } from '../../src/events/vocabulary.js';
import {
  clockTicked,
  deletionStarted,
  file,
  objectDeleted,
  objectKept,
  purged,
  purgeRetried,
  registered,
  storage,
} from '../../src/testing/events.js';
import { catalogueRow, files, modelsOf, Story, storages } from '../harness/story.js';

const BUCKET = storages('bucket');
const [F, X] = [files('F'), files('X')];
const CLOCK: Ref = { registry: 'log', uid: 'clock' };
const HOUR = 3_600_000;
const SEEN: Seen & { kind: 'file' } = {
  kind: 'file',
  etag: '0123456789abcdef0123456789abcdef',
  size: 12,
  modifiedAt: '2026-01-01T00:00:00.000Z',
  versions: null,
};

class BucketStory extends Story {
  private hours = 0;

  constructor(root = 's3://127.0.0.1:9000/bucket/') {
    super();
    this.happens(BUCKET, registered({ fields: storage('bucket', { root }) }));
  }

  inBucket(name: string, path: string, seenAt = this.log.head): this {
    const fields = file({ storage: BUCKET.uid, key: path, keyIsVirtual: false, path });
    return this.happens(files(name), registered({ fields, seenAt: String(seenAt) }));
  }

  deletes(ref: Ref, seen: Seen | null = SEEN): this {
    return this.purge(ref).happens(ref, deletionStarted({ seen }), objectDeleted(), purged());
  }

  tick(): this {
    this.hours += 1;
    return this.happens(CLOCK, clockTicked({ logTimeMs: this.hours * HOUR }));
  }

  /** Whether F, which was registered, may stay. */
  async stays(): Promise<boolean | undefined> {
    return (await catalogueRow(await modelsOf(this.log), F))?.live;
  }
}

const deleted = (path = 'o'): BucketStory => new BucketStory().inBucket('X', path).deletes(X);

describe('where the same bytes put twice are one to the store, a deletion stands for an hour past its end', () => {
  test('until the second tick after it: the first may come a moment later', async () => {
    expect(await deleted().inBucket('F', 'o').stays()).toBe(false);
    expect(await deleted().tick().inBucket('F', 'o').stays()).toBe(false);
    expect(await deleted().tick().tick().inBucket('F', 'o').stays()).toBe(true);
  });

  test('ticks before it say nothing of it', async () => {
    const told = new BucketStory().tick().tick().tick().inBucket('X', 'o').deletes(X);
    expect(await told.inBucket('F', 'o').stays()).toBe(false);
    expect(await told.tick().tick().inBucket('G', 'o').stays()).toBe(false);
  });

  test('a look from before the hour was over counts, however late its registration comes', async () => {
    const story = deleted().tick();
    const before = story.log.head;
    expect(await story.tick().tick().inBucket('F', 'o', before).stays()).toBe(false);
  });

  test('what lies around it and inside it, through whichever storage, and nothing beside it', async () => {
    const inner = storage('inner', { root: 's3://127.0.0.1:9000/bucket/a/' });
    const nested = (): BucketStory => deleted('a/b').happens(storages('inner'), registered({ fields: inner }));
    expect(await nested().inBucket('F', 'a/').stays()).toBe(false);
    expect(await nested().inBucket('F', 'a/bc').stays()).toBe(true);
    const within = file({ storage: storages('inner').uid, key: 'b', keyIsVirtual: false, path: 'b' });
    expect(
      await nested()
        .happens(F, registered({ fields: within, seenAt: '9' }))
        .stays(),
    ).toBe(false);
  });

  test('a folder, of which it is not known whether it has versions', async () => {
    const seen: Seen = { kind: 'folder', digest: 'd', objects: 1, bytes: 12, manifest: '.lethe/deletions/d.jsonl' };
    expect(await new BucketStory().inBucket('X', 'a/').deletes(X, seen).inBucket('F', 'a/b').stays()).toBe(false);
  });

  test.each<{ what: string; story: () => BucketStory }>([
    { what: 'a folder of a disk', story: () => new BucketStory('file:/disk/').inBucket('X', 'o').deletes(X) },
    {
      what: 'a bucket with versions',
      story: () => new BucketStory().inBucket('X', 'o').deletes(X, { ...SEEN, versions: ['v1'] }),
    },
    {
      what: 'an object that was missing already: nothing was sent',
      story: () => new BucketStory().inBucket('X', 'o').deletes(X, null),
    },
    {
      what: 'an object that was kept, an hour later as it is',
      story: () =>
        new BucketStory()
          .inBucket('X', 'o')
          .purge(X)
          .happens(X, deletionStarted({ seen: SEEN }), purgeRetried({ storage: 'keep' }))
          .happens(X, objectKept({ why: 'asked' }), purged()),
    },
  ])('not of $what', async ({ story }) => {
    expect(await story().inBucket('F', 'o').stays()).toBe(true);
    expect(await someLinger(await modelsOf(story().log))).toBe(false);
  });

  test('not of a virtual key, whose path no other object gets', async () => {
    const path = `.lethe/${X.uid}-1.txt`;
    const fields = file({ storage: BUCKET.uid, key: null, keyIsVirtual: true, path });
    const story = new BucketStory().happens(X, registered({ fields })).deletes(X);
    expect(await someLinger(await modelsOf(story.log))).toBe(false);
  });

  test('it hangs on the time, until it does no more', async () => {
    expect(await someLinger(await modelsOf(deleted().log))).toBe(true);
    expect(await someLinger(await modelsOf(deleted().tick().log))).toBe(true);
    expect(await someLinger(await modelsOf(deleted().tick().tick().log))).toBe(false);
  });
});
