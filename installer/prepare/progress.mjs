/**
 * Visible progress without a terminal trick: one line when a stage has something slow to say, one line with its seconds
 * when it is done. Works the same in a terminal, a pipe and a CI log. Plain JavaScript, because it runs before `npm ci`.
 */

/** A reason that a person can act on. Everything else that is thrown is a bug and keeps its stack. */
export class PrepareError extends Error {
  /**
   * @param {'ORK_MACHINE_UNFIT' | 'ORK_PREPARE_FAILED'} code of protocol/errors.ts
   * @param {string} message what happened, one sentence
   * @param {{ mend?: string, evidence?: readonly string[] }} [more] what to do; the lines that show it
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'PrepareError';
    this.code = code;
    this.mend = more.mend;
    this.evidence = more.evidence ?? [];
  }
}

/**
 * Runs stages one after the other and tells about each.
 *
 * @param {{ write(text: string): unknown }} output where the lines go
 * @param {() => number} [now] monotonic milliseconds
 */
export function makeProgress(output, now = () => performance.now()) {
  const line = (text) => output.write(`${text}\n`);
  return {
    line,
    /**
     * @template T
     * @param {string} name
     * @param {(say: (detail: string) => void) => Promise<T> | T} work its answer, when a text, stands on the closing line
     * @returns {Promise<T>}
     */
    async stage(name, work) {
      const began = now();
      const seconds = () => `${((now() - began) / 1000).toFixed(1)} s`;
      const close = (mark, detail) => line(`${mark} ${name.padEnd(22)} ${seconds().padStart(7)}  ${detail}`.trimEnd());
      try {
        const result = await work((detail) => line(`  ${name}: ${detail}`));
        close('✓', typeof result === 'string' ? result : '');
        return result;
      } catch (error) {
        close('✗', '');
        throw error;
      }
    },
  };
}
