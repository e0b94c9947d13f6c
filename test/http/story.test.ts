import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onDisk } from '../harness/places.js';
import { discard, startService, temporaryFolder } from '../harness/service.js';
import { deletionStory } from './deletion-story.js';

deletionStory('with every store embedded', async () => {
  const lab = await temporaryFolder();
  const service = await startService({ config: { storages: [{ name: 'lab', root: `file:${lab}` }] } });
  return {
    service,
    objects: onDisk(join(service.data, 'objects')),
    lab: onDisk(lab),
    discard: async () => {
      await discard(service);
      await rm(lab, { recursive: true, force: true });
    },
  };
});
