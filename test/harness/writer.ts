/** For tests of copies: writes without end into the database that is being copied. */
import Sqlite from 'better-sqlite3';

/** Makes the database `file` so large that it is copied in steps, and writes in every turn. @returns what stops it */
export function neverStopWriting(file: string): () => void {
  const writer = new Sqlite(file);
  writer.pragma('synchronous = OFF');
  writer.exec('CREATE TABLE filler (bytes BLOB)');
  const write = writer.prepare('INSERT INTO filler VALUES (zeroblob(?))');
  for (let n = 0; n < 20; n += 1) write.run(100_000);
  let turn = setImmediate(function again() {
    write.run(1);
    turn = setImmediate(again);
  });
  return () => {
    clearImmediate(turn);
    writer.close();
  };
}
