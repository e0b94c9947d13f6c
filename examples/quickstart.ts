import { writeFile } from 'node:fs/promises';
import { ConfirmationRequired, connect } from 'lethe';

/*
 * The story in five minutes: trash first, purge on purpose. Against the service at LETHE_URL, or in this process on a folder of its own.
 */

const lethe = await connect(process.env['LETHE_URL'] ?? { data: './quickstart-data' });

await writeFile('mydf.parquet', 'some bytes');
const file = await lethe.files.add('./mydf.parquet', { key: 'quickstart/mydf.parquet', description: 'mydf' });
console.log(`${file.outcome} ${file.uid}, ${file.size} bytes`);

await file.delete({ reason: 'not needed, I think' });
const find = (visibility: 1 | null) => lethe.files.filter({ key: 'quickstart/mydf.parquet', visibility }).count();
console.log(`in the trash: ${await find(1)} visible, ${await find(null)} in all`);

await file.restore();
console.log(`restored: visibility ${file.visibility}, and the bytes: ${await (await file.content()).text()}`);

await file.delete();
try {
  await file.delete(); // once more needs a yes, and says what would go
} catch (error) {
  if (!(error instanceof ConfirmationRequired)) throw error;
  console.log(`would purge it: the object is to ${error.preview?.object?.fate ?? 'stay'}`);
}
const { receipt } = await file.delete({ permanent: true, reason: 'wrong upload' });
console.log(`purged: the object is ${receipt?.object?.fate ?? 'not there'} (${receipt?.object?.why ?? 'no reason'})`);

for await (const { at, actor, type, reason } of file.history())
  console.log(at, actor, type, ...(reason === null ? [] : [reason]));

await lethe.close();
