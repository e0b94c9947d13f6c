import { createHash } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasBrowser, openBrowser } from '../harness/browser.js';
import { discard, startService, temporaryFolder, upload, type RunningService } from '../harness/service.js';

/*
 * The web UI as a person uses it: a real browser on the real process.
 */

const WAIT_MS = 60_000;

let browser: Browser;
let disk: string;
let service: RunningService;
let page: Page;
/** What the page complained of: errors, and whatever the content security policy stopped. */
let complaints: string[];

const add = async (metadata: object, content = 'some bytes'): Promise<string> => {
  const answer = await service.request('POST', '/v1/files', { body: upload(metadata, content) });
  expect(answer.status).toBe(201);
  return answer.body.record.uid;
};

const open = async (address: string): Promise<void> => {
  await page.goto(`${service.url}/${address}`);
};

const statusIs = (text: string | RegExp) => page.getByRole('status').filter({ hasText: text }).waitFor();
const press = (name: string | RegExp) => page.getByRole('button', { name, exact: typeof name === 'string' }).click();
const go = (name: string | RegExp) => page.getByRole('link', { name, exact: typeof name === 'string' }).click();

beforeAll(async () => {
  if (!hasBrowser) return;
  browser = await openBrowser();
  disk = await temporaryFolder();
  await mkdir(join(disk, 'lab'));
  const storages = [{ name: 'lab', root: `file:${disk}/lab` }];
  service = await startService({ config: { storages, purges: { attempts: 1 } } });
});

afterAll(async () => {
  if (!hasBrowser) return;
  await browser.close();
  await discard(service);
  await rm(disk, { recursive: true });
});

beforeEach(async () => {
  if (!hasBrowser) return;
  page = await browser.newPage({ viewport: { width: 360, height: 700 } });
  page.setDefaultTimeout(WAIT_MS);
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // The browser logs every answer that is no 2xx; what the page makes of it is tested.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
});

afterEach(async () => {
  if (!hasBrowser) return;
  await page.close();
  expect(complaints).toEqual([]);
});

describe.skipIf(!hasBrowser)('the web UI [needs chromium]', () => {
  it('takes a file from the list to the trash, back, and to its purge', async () => {
    const uid = await add({ key: 'story/one.parquet', description: 'of the story' });
    await open('#/files');
    await go('story/one.parquet');
    await page.getByText('of the story').first().waitFor();
    await page.getByLabel('Reason').fill('not needed');
    await press('Move to trash');
    await statusIs('moved to the trash');

    await go(/^files/);
    await page.getByRole('heading', { name: 'files' }).waitFor();
    expect(await page.getByRole('link', { name: 'story/one.parquet' }).count()).toBe(0);
    await go('Trash');
    await page.getByText('1 record, 10 B would be freed').waitFor();
    await page.getByRole('cell', { name: 'not needed' }).waitFor();
    await press('Restore story/one.parquet');
    await statusIs('was restored');
    await page.getByText('Nothing here.').waitFor();
    expect((await service.request('GET', `/v1/files/${uid}`)).body.visibility).toBe(1);

    await service.request('DELETE', `/v1/files/${uid}`);
    await open('#/files');
    await go('Trash');
    await press('Purge story/one.parquet');
    await page.getByText(/will be deleted: its key is only a name/).waitFor();
    expect((await service.request('GET', `/v1/files/${uid}`)).status).toBe(200);
    await press('Purge permanently');
    await statusIs('was purged');
    await page.getByText(/was deleted: its key is only a name/).waitFor();
    expect((await service.request('GET', `/v1/files/${uid}`)).body.tombstone.state).toBe('purged');

    await go('What stays of it');
    for (const type of ['RecordRegistered', 'RecordTrashed', 'RecordRestored', 'RecordPurged'])
      await page.getByRole('cell', { name: type, exact: true }).first().waitFor();
  });

  it('keeps the object of a semantic key unless it is told to delete it', async () => {
    const uid = await add({ key: 'kept/two.bin', keyIsVirtual: false });
    await open(`#/files/${uid}`);
    await press('Purge…');
    await page.getByText(/kept\/two\.bin .* will be kept/).waitFor();
    await page.getByLabel('The object').selectOption('delete');
    await page.getByText(/kept\/two\.bin .* will be deleted/).waitFor();
    await press('Purge permanently');
    await statusIs('was purged');
    const { tombstone } = (await service.request('GET', `/v1/files/${uid}`)).body;
    expect(tombstone.receipt.object).toMatchObject({ fate: 'deleted', path: 'kept/two.bin' });
  });

  it('purges a plain record and a dataset, which have no object', async () => {
    for (const registry of ['labels', 'datasets']) {
      const json = { name: `a ${registry}`, ...(registry === 'datasets' && { files: [] }) };
      const { record } = (await service.request('POST', `/v1/${registry}`, { json })).body;
      await open(`#/${registry}`);
      await go(`a ${registry}`);
      await press('Purge…');
      await page.getByText('There is no object behind this record.').waitFor();
      await press('Purge permanently');
      await statusIs(`a ${registry} was purged.`);
      expect((await service.request('GET', `/v1/${registry}/${record.uid}`)).status).toBe(410);
    }
  });

  it('shows a purge that is parked, and carries it out once its storage is back', async () => {
    const uid = await add({ key: 'parked.bin', storage: 'lab' }, 'parked');
    await service.request('DELETE', `/v1/files/${uid}`);
    await rename(join(disk, 'lab'), join(disk, 'away'));
    await open('#/trash');
    await press('Purge parked.bin');
    await press('Purge permanently');
    await statusIs('The purge is parked.');
    await page.getByText(/Last error: the storage's folder .* can't be opened/).waitFor();
    // No query shows it any more, whatever becomes of its object.
    expect(await page.getByRole('button', { name: 'Restore parked.bin' }).count()).toBe(0);
    await page.getByText(/^0 records, 0 B would be freed/).waitFor();
    await rename(join(disk, 'away'), join(disk, 'lab'));
    await press('Try again now');
    await statusIs('The purge is done.');
    await page.getByText(/was deleted: its key is only a name/).waitFor();
  });

  it('holds, refuses the purge of what is held, and releases', async () => {
    const uid = await add({ key: 'held.bin' }, 'held');
    await open(`#/files/${uid}`);
    await page.getByLabel('Reason').fill('an audit');
    await press('Hold');
    await statusIs('held.bin: held.');
    await press('Purge…');
    await page
      .getByRole('alert')
      .getByText(/Correlation id/)
      .waitFor();
    await press('Release the hold');
    await statusIs('held.bin: released.');
    expect((await service.request('GET', `/v1/files/${uid}`)).body.hold).toBeNull();
  });

  it('purges only what it showed', async () => {
    const uid = await add({ key: 'changed.bin' }, 'changed');
    await open(`#/files/${uid}`);
    await press('Purge…');
    await page.getByRole('region', { name: 'Purge' }).waitFor();
    await service.request('PATCH', `/v1/files/${uid}`, { json: { description: 'other' } });
    await press('Purge permanently');
    const alert = page.getByRole('alert');
    await alert.getByText(/Correlation id: \S+/).waitFor();
    expect((await service.request('GET', `/v1/files/${uid}`)).body.description).toBe('other');
  });

  it('shows markup in keys and descriptions as text', async () => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const uid = await add({ key: `${markup}.bin`, description: markup }, 'markup');
    await open('#/files');
    await page.getByRole('cell', { name: markup, exact: true }).waitFor();
    await open(`#/files/${uid}`);
    await page.getByRole('heading', { name: `${markup}.bin` }).waitFor();
    await press('Move to trash');
    await statusIs('moved to the trash');
    await go('Trash');
    await page
      .getByRole('cell', { name: `${markup}.bin` })
      .first()
      .waitFor();
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await page.title()).toBe('trash – Lethe');
    await service.request('POST', `/v1/files/${uid}/restore`);
  });

  it('is used with the keyboard alone', async () => {
    await add({ key: 'aaa/keyboard.bin' }, 'keyboard');
    await open('#/files');
    await page.getByRole('heading', { name: 'files' }).waitFor();
    /** Goes on with Tab to what has this name. */
    const tabTo = async (name: string): Promise<void> => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press('Tab');
        const at = await page.evaluate(
          '(document.activeElement.ariaLabel ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent).trim()',
        );
        if (at === name) return;
      }
      throw new Error(`Tab never came to '${name}'`);
    };
    await tabTo('aaa/keyboard.bin');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'aaa/keyboard.bin' }).waitFor();
    await tabTo('Reason');
    await page.keyboard.type('typed');
    await tabTo('Purge…');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Purge' }).waitFor();
    await tabTo('Purge permanently');
    await page.keyboard.press('Enter');
    await statusIs('was purged');
  });

  it('searches, sorts and pages', async () => {
    for (let number = 0; number < 52; number += 1) await add({ key: `many/${number}.bin` }, `many ${number}`);
    await open('#/files');
    await page.getByLabel('Search').fill('many/');
    await page.getByLabel('Order').selectOption('key');
    await press('Search');
    await page.getByText('52 records').waitFor();
    await press('Show more');
    await statusIs('52 rows shown');
    const keys = await page.locator('tbody td:first-child').allTextContents();
    expect(keys).toHaveLength(52);
    expect(keys).toEqual([...keys].sort());
  });

  it('empties the trash with its totals shown first, and fits a narrow screen', async () => {
    const uid = await add({ key: 'emptied.bin' }, 'emptied');
    await service.request('DELETE', `/v1/files/${uid}`);
    await open('#/trash');
    await press('Empty the trash…');
    await page.getByText(/1 record, 7 B would be freed\. You can’t undo this/).waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await press('Empty permanently');
    await statusIs('The trash was emptied: 1 purged, 0 skipped.');
    expect((await service.request('GET', `/v1/files/${uid}`)).status).toBe(410);
  });

  it('asks for a key where the service has keys, and forgets it when told', async () => {
    const key = 'k'.repeat(43);
    const sha256 = createHash('sha256').update(key).digest('hex');
    const closed = await startService({ config: { apiKeys: [{ subject: 'alice', sha256, may: ['read'] }] } });
    try {
      await page.goto(closed.url);
      await page.getByLabel('This service asks for a key').fill('wrong');
      await press('Use it');
      await page
        .getByRole('alert')
        .getByText(/does not know the API key/)
        .waitFor();
      await page.getByLabel('This service asks for a key').fill(key);
      await press('Use it');
      await page.getByRole('heading', { name: 'files' }).waitFor();
      expect(await page.evaluate('localStorage.length')).toBe(0);
      await press('Forget the key');
      await page.getByLabel('This service asks for a key').waitFor();
    } finally {
      await discard(closed);
    }
  });

  it('leads to the description of the API, which needs nothing from elsewhere', async () => {
    const elsewhere: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(service.url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
    });
    await open('#/files');
    await go('HTTP API');
    await page
      .getByRole('heading', { name: /^Lethe/ })
      .first()
      .waitFor();
    await page.getByRole('link', { name: 'Service' }).click();
    await page
      .getByRole('button', { name: /^get \/v1\/stats/i })
      .first()
      .click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).click();
    await page
      .getByText(/lagEvents/)
      .first()
      .waitFor();
    expect(elsewhere).toEqual([]);
  });
});
