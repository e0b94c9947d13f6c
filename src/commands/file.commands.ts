import type { Readable } from 'node:stream';
import type { Ref, Shown } from '../events/vocabulary.js';
import type { Envelope } from './commands.js';

/** What a caller says of a file. Absent values are null. */
export interface FileMetadata {
  readonly key: string | null;
  readonly keyIsVirtual: boolean;
  /** A storage's uid or name. */
  readonly storage: string;
  readonly suffix: string | null;
  readonly accessor: string | null;
  readonly description: string | null;
  readonly version: string | null;
  readonly initialVersion: string | null;
  readonly labels: readonly string[];
  readonly run: string | null;
  readonly transform: string | null;
  readonly visibility: Shown;
  readonly onDuplicate: 'return' | 'create' | 'fail';
}

/** Stores new bytes and registers them. The envelope's hash does not yet cover the content. */
export class UploadFile {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly metadata: FileMetadata,
    readonly filename: string | null,
    readonly content: Readable,
  ) {}
}

/** Registers what already lies at a path of a storage; one that ends in `/` is a folder. */
export class RegisterFile {
  constructor(
    readonly ref: Ref,
    readonly envelope: Envelope,
    readonly metadata: FileMetadata,
    readonly path: string,
  ) {}
}
