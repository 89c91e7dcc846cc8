/** Undoes what was started, in reverse order. Tries every step, whatever fails. */
export class Teardown {
  readonly #steps: { readonly name: string; readonly undo: () => Promise<void> }[] = [];
  readonly #failed: (name: string, error: unknown) => void;

  constructor(failed: (name: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Must be called before the effect, so that an interrupted effect is undone, too. */
  add(name: string, undo: () => Promise<void>): void {
    this.#steps.push({ name, undo });
  }

  /** @returns whether everything was undone */
  async run(): Promise<boolean> {
    let whole = true;
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        whole = false;
        this.#failed(step.name, error);
      }
    }
    return whole;
  }
}
