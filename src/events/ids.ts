import { createHash, hash } from 'node:crypto';
import { v5 } from 'uuid';

/** The namespace of all ids that Lethe derives (RFC 9562, version 5). Never changes: a repeat is recognised by them. */
const NAMESPACE = '8c5c1c37-7f0e-5d0c-9c1e-6d7f3a1b2e40';

/** Bytes rather than text: the library's own way from text to bytes takes longer than the hash. */
const named = (parts: readonly (string | number)[]): string => v5(Buffer.from(JSON.stringify(parts)), NAMESPACE);

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A command's id from who sent it, how, to where, and the key that the caller chose: the same call again has the same id. */
export const commandIdOf = (actor: string, method: string, path: string, idempotencyKey: string): string =>
  named([actor, method, path, idempotencyKey]);

/** The id of a command that follows from another by a rule (a step of a saga or an operation). */
export const derivedId = (...parts: readonly (string | number)[]): string => named(parts);

/** The id of a command's `index`-th event. It binds the command's whole content: another content gives another id. */
export const eventIdOf = (commandId: string, commandHash: string, index: number): string =>
  named([commandId, commandHash, index]);

/** `length` base62 characters that follow from `seed`, evenly spread. */
export const base62From = (seed: string, length: number): string => {
  const digest = createHash('sha512').update(seed).digest();
  let number = BigInt(`0x${digest.toString('hex')}`);
  let out = '';
  for (let i = 0; i < length; i += 1) {
    out += BASE62.charAt(Number(number % 62n));
    number /= 62n;
  }
  return out;
};

/** The uid of the record that a command registers: a repeat of the command finds the same stream. */
export const uidOf = (commandId: string): string => base62From(`record:${commandId}`, 20);

/** The uid of a record whose name is unique: the stream's expected revision decides who has the name. */
export const uidOfName = (registry: string, name: string, generation: number): string =>
  base62From(JSON.stringify(['name', registry, name, generation]), 20);

export const sha256 = (text: string): string => hash('sha256', text, 'base64url');
