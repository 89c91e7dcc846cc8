/** A live log: follows its end until the reader scrolls up. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ReadonlySignal } from '@preact/signals';
import { earlierLines } from './earlier-lines.ts';
import { makeLineRenderer } from './line-html.ts';
import type { LineRenderer } from './line-html.ts';
import type { LogBuffer } from './log-buffer.ts';

interface Props {
  readonly buffer: LogBuffer;
  /** Changes whenever the buffer changes. */
  readonly version: ReadonlySignal<number>;
  readonly running: boolean;
  readonly label: string;
  /** Maximum number of lines in the download; undefined: it has all. */
  readonly download?: number;
}

/** Pixels from the end within which the view counts as at the end. */
const NEAR_END = 40;

export function LogView({ buffer, version, running, label, download }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const following = useRef(true);
  const [cut, setCut] = useState(0);

  useEffect(() => {
    const [scroller, lines] = [frame.current, list.current];
    if (!scroller || !lines) return undefined;
    lines.replaceChildren();
    const painter = new Painter(lines, buffer);
    following.current = true;
    let scheduled = 0;
    const paint = (): void => {
      scheduled = 0;
      painter.paint();
      setCut(buffer.first);
      if (following.current) scroller.scrollTop = scroller.scrollHeight;
    };
    // Chunks arrive faster than frames, so paint once per frame.
    const stop = version.subscribe(() => {
      scheduled ||= requestAnimationFrame(paint);
    });
    return () => {
      stop();
      cancelAnimationFrame(scheduled);
    };
  }, [buffer, version]);

  const onScroll = (): void => {
    const box = frame.current;
    if (!box) return;
    following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    // CSS keeps the lines in view stable for a reader further up, while old ones are removed.
    box.dataset.following = String(following.current);
  };
  return (
    <div
      class="log"
      ref={frame}
      data-following="true"
      onScroll={onScroll}
      tabIndex={0}
      role="log"
      aria-label={label}
      aria-live="off"
    >
      {cut > 0 && <p class="log-cut">{earlierLines(cut, download)}</p>}
      <ol class="log-lines" ref={list} />
      {running && <span class="log-cursor" aria-hidden="true" />}
    </div>
  );
}

/** Keeps the list of elements in sync with the buffer's lines, touching only new ones. */
class Painter {
  readonly #list: HTMLOListElement;
  readonly #buffer: LogBuffer;
  readonly #renderer: LineRenderer = makeLineRenderer();
  #next: number;
  #open: HTMLLIElement | undefined;

  constructor(list: HTMLOListElement, buffer: LogBuffer) {
    this.#list = list;
    this.#buffer = buffer;
    this.#next = buffer.first;
  }

  paint(): void {
    const fresh = document.createDocumentFragment();
    for (const line of this.#buffer.since(this.#next)) fresh.append(this.#element(line));
    this.#next = this.#buffer.next;
    this.#open?.remove();
    this.#open = this.#buffer.open === '' ? undefined : this.#element(this.#buffer.open);
    if (this.#open) fresh.append(this.#open);
    this.#list.append(fresh);
    const wanted = this.#buffer.next - this.#buffer.first + (this.#open ? 1 : 0);
    while (this.#list.childElementCount > wanted) this.#list.firstElementChild?.remove();
  }

  #element(line: string): HTMLLIElement {
    const element = document.createElement('li');
    element.innerHTML = this.#renderer.html(line);
    for (const part of element.querySelectorAll<HTMLElement>('[data-style]')) {
      part.style.cssText = part.dataset.style ?? '';
    }
    return element;
  }
}
