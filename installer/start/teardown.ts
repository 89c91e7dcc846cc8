/** What has to be undone at the end, in the reverse order of how it came to be. All of it is tried, whatever fails. */
export class Teardown {
  readonly #steps: { readonly name: string; readonly undo: () => Promise<void> }[] = [];
  readonly #failed: (name: string, error: unknown) => void;

  constructor(failed: (name: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Call it before the effect, so that one that is cut off is undone too. */
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
