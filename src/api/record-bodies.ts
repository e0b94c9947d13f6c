import { RegisterRecord, type Envelope } from '../commands/commands.js';
import { RegisterFile } from '../commands/file.commands.js';
import type { Fields } from '../events/events.js';
import { uidOf } from '../events/ids.js';
import type { Json, Ref } from '../events/vocabulary.js';
import { parseBody } from './request.js';
import {
  patchDatasetSchema,
  patchFileSchema,
  patchPlainSchema,
  patchStorageSchema,
  registerDatasetSchema,
  registerFileSchema,
  registerPlainSchema,
  registerStorageSchema,
} from './schemas.js';

/* What the bodies of POST and PATCH on a registry ask for. */

export const registering = (registry: string, body: unknown, envelope: Envelope): { command: object; ref: Ref } => {
  const ref = { registry, uid: uidOf(envelope.commandId) };
  if (registry === 'files') {
    const { path, ...metadata } = parseBody(registerFileSchema, body);
    return { ref, command: new RegisterFile(ref, envelope, { ...metadata, key: path, keyIsVirtual: false }, path) };
  }
  if (registry === 'datasets') {
    const { visibility, ...fields } = parseBody(registerDatasetSchema, body);
    return { ref, command: new RegisterRecord(ref, envelope, { kind: 'dataset', ...fields }, visibility, null) };
  }
  const fields: Fields =
    registry === 'storages'
      ? { kind: 'plain', ...parseBody(registerStorageSchema, body), place: null }
      : { kind: 'plain', ...parseBody(registerPlainSchema, body), place: null };
  return { ref, command: new RegisterRecord(ref, envelope, fields, 1, null) };
};

export const patchOf = (registry: string, body: unknown): Record<string, Json> => {
  const schema =
    registry === 'files'
      ? patchFileSchema
      : registry === 'datasets'
        ? patchDatasetSchema
        : registry === 'storages'
          ? patchStorageSchema
          : patchPlainSchema;
  const patch: Record<string, Json> = {};
  for (const [name, value] of Object.entries(parseBody<Record<string, Json | undefined>>(schema, body))) {
    if (value !== undefined) patch[name] = value;
  }
  return patch;
};
