import type { CommandAnswer, PreviewAnswer, PurgeAnswer, ReceiptAnswer, Ref } from '../client/answers.js';
import { followPurge } from '../client/purges.js';
import type { Context } from './context.js';
import { CliError, FAILED, REFUSED } from './exit.js';
import { counted, named, sizeText } from './text.js';

/** How long one answer may wait for a purge, in seconds: the most that the service takes. */
export const WAIT_SECONDS = 30;

/** Waits for a purge to end, and says how it did. @throws CliError where it is parked, or was called off */
export const reportPurge = async ({ client, out, signal }: Context, ref: Ref, answer: CommandAnswer): Promise<void> => {
  out.warnings(answer.warnings);
  let said: string | null = null;
  const ended = await followPurge(client, ref, answer, {
    signal,
    onWaiting: (purge) => {
      const now = waitingText(ref, purge);
      if (now !== said) out.note(now);
      said = now;
    },
  });
  await out.body(ended ?? answer);
  const receipt = ended === null ? answer.receipt : ended.receipt;
  if (ended !== null) out.warnings(ended.receipt?.warnings ?? []);
  if (receipt != null) await out.line(receiptText(receipt));
  if (ended?.state === 'cancelled') throw new CliError(calledOffText(ref, ended), REFUSED);
  if (ended?.state === 'parked') throw new CliError(parkedText(ref, ended), FAILED);
};

const waitingText = (ref: Ref, { state, attempts, error }: PurgeAnswer): string =>
  state === 'failed'
    ? `the purge of ${named(ref)} failed (attempt ${attempts}: ${error ?? 'unknown'}) and will be tried again`
    : `waiting for the purge of ${named(ref)}`;

const calledOffText = (ref: Ref, { by }: PurgeAnswer): string =>
  `the purge of ${named(ref)} was called off: ${by.map(({ registry, uid }) => `${registry}/${uid}`).join(', ')} came to point at it`;

const parkedText = (ref: Ref, { attempts, error }: PurgeAnswer): string =>
  `the purge of ${named(ref)} is parked after ${counted(attempts, 'attempt')}: ${error ?? 'unknown'}. Mend that, then: lethe purges retry ${ref.registry}/${ref.uid}`;

type Fate = NonNullable<ReceiptAnswer['object']> | NonNullable<PreviewAnswer['object']>;

const receiptText = (receipt: ReceiptAnswer): string =>
  `deleted ${named(receipt)}${receipt.object === null ? '' : objectText(receipt.object, 'kept')}`;

/** What a purge would do. */
export const previewText = (preview: PreviewAnswer): string =>
  `would delete ${named(preview)}${preview.object === null ? '' : objectText(preview.object, 'would keep')}`;

const objectText = (object: Fate, keeps: string): string => {
  const { fate, path, objects, bytes } = object;
  if (fate === 'keep' || fate === 'kept') return `; ${keeps} ${path} (${whyText(object)})`;
  if (objects === 0) return ' and its object (already missing)';
  return ` and its ${objects === 1 ? 'object' : `${objects} objects`} (${sizeText(bytes)})`;
};

const whyText = ({ why, sharedWith }: Fate): string => {
  switch (why) {
    case 'semantic-key':
      return 'semantic key';
    case 'foreign-storage':
      return 'foreign storage';
    case 'asked':
      return 'as asked';
    case 'shared':
      return `shared with ${sharedWith.map(({ registry, uid }) => `${registry}/${uid}`).join(', ')}`;
    case 'virtual-key':
      return 'virtual key';
  }
};
