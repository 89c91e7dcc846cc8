// @ts-check
/**
 * Progress output without terminal control codes: one line when a slow stage has something to report, one line with its
 * seconds when it is done. Works the same in a terminal, a pipe and a CI log. Plain JavaScript, because it runs before
 * `npm ci`.
 */

/** A failure that a person can act on. Any other error is a bug and keeps its stack. */
export class PrepareError extends Error {
  /**
   * @param {'ORK_MACHINE_UNFIT' | 'ORK_PREPARE_FAILED'} code of protocol/error-catalogue.ts
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
 * Explains the output of a failed program.
 *
 * @typedef {{ pattern: RegExp, sentence: string, mend: string }} Reason
 * @typedef {{ stage<T>(name: string, work: (say: (detail: string) => void) => Promise<T> | T): Promise<T> }} Progress
 */

/**
 * @param {readonly Reason[]} reasons the first match counts
 * @param {{ sentence: string, evidence: readonly string[], logFile: string }} failure `sentence`: used if none matches
 */
export function explainFailure(reasons, { sentence, evidence, logFile }) {
  const text = evidence.join('\n');
  const reason = reasons.find(({ pattern }) => pattern.test(text)) ?? { sentence, mend: 'See its last lines.' };
  return new PrepareError('ORK_PREPARE_FAILED', reason.sentence, {
    mend: `${reason.mend} Full output: ${logFile}`,
    evidence,
  });
}

/**
 * Runs stages one after the other and reports each. A string that a stage returns is shown on its closing line.
 *
 * @param {{ write(text: string): unknown }} output where the lines go
 * @param {() => number} [now] monotonic milliseconds
 * @returns {Progress}
 */
export function makeProgress(output, now = () => performance.now()) {
  /** @param {string} text */
  const line = (text) => output.write(`${text}\n`);
  return {
    async stage(name, work) {
      const began = now();
      const seconds = () => `${((now() - began) / 1000).toFixed(1)} s`;
      /** @type {(mark: string, detail: string) => void} */
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
