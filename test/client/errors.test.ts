import { describe, expect, it } from 'vitest';
import { PROBLEMS } from '../../src/api/problem.js';
import * as sdk from '../../src/client/connect.js';
import { calledOff, errorOf, parked } from '../../src/client/errors.js';

const problem = (code: string, extra: object = {}) => ({
  type: `urn:lethe:${code}`,
  title: code,
  status: 409,
  detail: 'Do something.',
  code,
  correlationId: 'c-1',
  ...extra,
});

const purge: sdk.PurgeAnswer = {
  registry: 'files',
  uid: 'heBmDcUZSbbsRR6dMz2r',
  state: 'parked',
  requestedAt: '2026-11-23T00:57:00.000Z',
  requestedBy: 'alice',
  reason: null,
  storage: null,
  attempts: 10,
  error: 'EACCES',
  nextTryAt: null,
  by: [{ registry: 'datasets', uid: 'AbCmDcUZSbbsRR6dMz2r' }],
  operation: null,
  receipt: null,
};

describe('an error', () => {
  it.each(Object.keys(PROBLEMS))('of the code %s has a class of its own, which is exported by its name', (code) => {
    const error = errorOf(problem(code));
    expect(error.constructor).not.toBe(sdk.LetheError);
    expect(error).toBeInstanceOf(sdk.LetheError);
    expect(Object.entries(sdk).find(([, value]) => value === error.constructor)?.[0]).toBe(error.name);
    expect(error).toMatchObject({ code, status: 409, message: 'Do something.', correlationId: 'c-1', errors: [] });
  });

  it('has no class that another one has', () => {
    const classes = new Set(Object.keys(PROBLEMS).map((code) => errorOf(problem(code)).constructor));
    expect(classes.size).toBe(Object.keys(PROBLEMS).length);
  });

  it('of a code that is not known yet is a LetheError', () => {
    const error = errorOf(problem('brand-new'));
    expect(error.constructor).toBe(sdk.LetheError);
    expect(error.name).toBe('BrandNew');
  });

  it('carries what its code has', () => {
    const preview = { registry: 'files', uid: 'heBmDcUZSbbsRR6dMz2r', revision: 1, object: null };
    expect(errorOf(problem('confirmation-required', { preview }))).toMatchObject({ preview, totals: null });
    const totals = { records: 3, bytes: 9 };
    expect(errorOf(problem('confirmation-required', { totals }))).toMatchObject({ preview: null, totals });
    const { by } = purge;
    expect(errorOf(problem('referenced', { by, count: 1 }))).toMatchObject({ by, purge: null });
    expect(errorOf(problem('duplicate', { by }))).toMatchObject({ by });
    const tombstone = { registry: 'files', uid: 'heBmDcUZSbbsRR6dMz2r', state: 'purging', receipt: null };
    expect(errorOf(problem('purged', { tombstone }))).toMatchObject({ tombstone });
    const errors = [{ path: '/labels/0', message: 'no' }];
    expect(errorOf(problem('invalid', { errors }))).toMatchObject({
      errors,
      detail: 'Do something.',
      message: 'Do something.\n  /labels/0: no',
    });
  });

  it('of a purge that ended otherwise carries the purge', () => {
    expect(parked(purge)).toBeInstanceOf(sdk.StoreUnavailable);
    expect(parked(purge)).toMatchObject({ purge, message: expect.stringContaining('after 10 attempts: EACCES') });
    expect(calledOff(purge)).toBeInstanceOf(sdk.Referenced);
    expect(calledOff(purge)).toMatchObject({ purge, by: purge.by });
  });
});
