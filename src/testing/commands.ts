import * as core from '../commands/commands.js';
import type { Fields, StorageWish } from '../events/events.js';
import { derivedId, sha256 } from '../events/ids.js';
import type { RecordState } from '../events/record.js';
import type { Json, Ref, Shown } from '../events/vocabulary.js';
import { FILE, file } from './events.js';

/*
 * The commands, with defaults for all that a test does not care about: `new PurgeRecord({ storage: 'delete', ifMatch: 3 })`.
 */

/** Whom a command is about (`FILE`), and what comes with every one: by `alice`, for no reason, whatever the revision is. */
export type About = Partial<core.Envelope> & { readonly ref?: Ref };

/** What comes with every command. */
export const envelope = ({
  commandId = derivedId('test', 'command'),
  ...given
}: Partial<core.Envelope> = {}): core.Envelope => ({
  commandId,
  hash: sha256(commandId),
  actor: 'alice',
  reason: null,
  correlationId: commandId,
  ifMatch: null,
  repeatable: true,
  ...given,
});

/** Registers `file()`. */
export class RegisterRecord extends core.RegisterRecord {
  constructor(options: About & { fields?: Fields; visibility?: Shown; seenAt?: string | null } = {}) {
    const {
      ref = FILE,
      fields = file(),
      visibility = 1,
      seenAt = fields.kind === 'file' ? '0' : null,
      ...rest
    } = options;
    super(ref, envelope(rest), fields, visibility, seenAt);
  }
}

export class UpdateRecord extends core.UpdateRecord {
  constructor({ ref = FILE, patch, ...rest }: About & { patch: Readonly<Record<string, Json>> }) {
    super(ref, envelope(rest), patch);
  }
}

/** `DELETE`, without `permanent=`. */
export class TrashRecord extends core.TrashRecord {
  constructor(options: About & { permanent?: false | null; storage?: StorageWish; dryRun?: boolean } = {}) {
    const { ref = FILE, permanent = null, storage = null, dryRun = false, ...rest } = options;
    super(ref, envelope(rest), permanent, storage, dryRun);
  }
}

export class RestoreRecord extends core.RestoreRecord {
  constructor({ ref = FILE, ...rest }: About = {}) {
    super(ref, envelope(rest));
  }
}

export class HoldRecord extends core.HoldRecord {
  constructor({ ref = FILE, ...rest }: About = {}) {
    super(ref, envelope(rest));
  }
}

export class ReleaseHold extends core.ReleaseHold {
  constructor({ ref = FILE, ...rest }: About = {}) {
    super(ref, envelope(rest));
  }
}

/** `DELETE ?permanent=true`, without `storage=`. */
export class PurgeRecord extends core.PurgeRecord {
  constructor(options: About & { storage?: StorageWish; dryRun?: boolean; step?: core.PurgeRecord['step'] } = {}) {
    const { ref = FILE, storage = null, dryRun = false, step = null, ...rest } = options;
    super(ref, envelope(rest), storage, dryRun, step);
  }
}

export class RetryPurge extends core.RetryPurge {
  constructor({ ref = FILE, storage = null, ...rest }: About & { storage?: 'keep' | null } = {}) {
    super(ref, envelope(rest), storage);
  }
}

export class ReportPurgeStep extends core.ReportPurgeStep {
  constructor({ ref = FILE, request, report, ...rest }: About & { request: number; report: core.PurgeStep }) {
    super(ref, envelope(rest), request, report);
  }
}

/** The saga's report on the record's latest request: `when(reported({ step: 'end' }))`. */
export const reported =
  (report: core.PurgeStep) =>
  (record: RecordState | null): ReportPurgeStep =>
    new ReportPurgeStep({ request: record?.purge?.request ?? 0, report });
