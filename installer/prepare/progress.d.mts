/** Types of progress.mjs, which is plain JavaScript because it runs before anything is installed. */
export declare class PrepareError extends Error {
  readonly code: 'ORK_MACHINE_UNFIT' | 'ORK_PREPARE_FAILED';
  readonly mend: string | undefined;
  readonly evidence: readonly string[];
  constructor(
    code: 'ORK_MACHINE_UNFIT' | 'ORK_PREPARE_FAILED',
    message: string,
    more?: { mend?: string; evidence?: readonly string[] },
  );
}

export interface Progress {
  /** One line of its own. */
  line(text: string): void;
  /** Runs `work`; a text that it answers stands on the closing line, beside the seconds it took. */
  stage<T>(name: string, work: (say: (detail: string) => void) => Promise<T> | T): Promise<T>;
}

export declare function makeProgress(output: { write(text: string): unknown }, now?: () => number): Progress;
