import { build } from 'esbuild';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';

const MOST_BYTES = 15_000;
const ROOT = join(import.meta.dirname, '../..');

/** What a page gets that imports all of the SDK. */
const bundle = async () =>
  build({
    stdin: { contents: "export * from 'lethe';", resolveDir: ROOT },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });

it('is less than 15 kB gzipped in browsers, and its own code alone', async () => {
  const { outputFiles, metafile } = await bundle();
  const [output] = outputFiles;
  if (output === undefined) throw new Error('nothing was bundled');
  expect(gzipSync(output.contents).length).toBeLessThan(MOST_BYTES);
  const inputs = Object.keys(metafile.inputs).filter((input) => input !== '<stdin>');
  expect(inputs).toContain('dist/client/browser.js');
  expect(inputs.filter((input) => !input.startsWith('dist/client/'))).toEqual([]);
  expect(inputs.filter((input) => /in-process|connect/.test(input))).toEqual([]);
});
