/** Build secrets in a generated Dockerfile: every RUN that sees files of the repository gets them as variables. */

interface Exported {
  readonly text: string;
  /** The inserted text, as it appears in the engine's messages. */
  readonly added: readonly string[];
}

/**
 * Install and build commands follow the first COPY of their stage. A RUN before it only prepares the stage, and its
 * layer stays shared. The values are variables of that one command, read from files in memory: they are in no layer or
 * argument. The shell reads the files, since frontends before 1.10 have no `env=` for mounts.
 */
export function exportSecrets(text: string, names: readonly string[]): Exported {
  if (names.length === 0) return { text, added: [] };
  const mounts = `${names.map((name) => `--mount=type=secret,id=${name},required=true`).join(' ')} `;
  const exports = `export ${names.map((name) => `${name}="$(cat /run/secrets/${name})"`).join(' ')} && `;
  let hasFiles = false;
  const lines = text.split('\n').map((line) => {
    if (line.startsWith('FROM ')) hasFiles = false;
    if (/^COPY (?!--from=)/.test(line)) hasFiles = true;
    const [, flags, command] = /^RUN ((?:--\S+ )*)(.*)$/.exec(line) ?? [];
    return !hasFiles || command === undefined ? line : `RUN ${mounts}${flags}${exports}${command}`;
  });
  return { text: lines.join('\n'), added: [mounts, exports] };
}
