/** Progress for people, on stderr: stdout is the figures'. */
export type Log = (line: string) => void;

export const toStderr: Log = (line) => void process.stderr.write(`${line}\n`);
