/** Live view of an app's log. */
import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import type { AppLogEvent } from '../../../api/schemas.ts';
import { AppLogText } from '../../../../protocol/app-log-text.ts';
import { ApiError, call } from '../api/client.ts';
import { listen } from '../api/stream.ts';
import { LogBuffer } from '../log/log-buffer.ts';

export interface AppLogView {
  readonly buffer: LogBuffer;
  /** Incremented with every change of the buffer. */
  readonly version: ReadonlySignal<number>;
  /** `ended`: nothing is live there any more. */
  readonly state: ReadonlySignal<'connecting' | 'live' | 'lost' | 'ended'>;
  /** Why the hub or the host refuses the log; the view keeps retrying. */
  readonly error: ReadonlySignal<ApiError | undefined>;
  /** Follows until the returned function is called. */
  follow(): () => void;
}

/** Number of older lines shown at first. */
const TAIL = 500;

/** @param path of the app log in the API */
export function makeAppLogView(path: string): AppLogView {
  const buffer = new LogBuffer();
  const text = new AppLogText();
  const version = signal(0);
  const state = signal<AppLogView['state']['value']>('connecting');
  const error = signal<ApiError | undefined>(undefined);
  const follow = (): (() => void) =>
    listen<AppLogEvent>(`${path}?follow=true&tail=${TAIL}`, {
      // After an end with an error, the stream is reopened.
      isEnd: (event) => event.kind === 'end' && event.error === null,
      event(event) {
        if (event.kind === 'end') {
          if (event.error === null) state.value = 'ended';
          return;
        }
        buffer.add(text.linesOf(event));
        version.value += 1;
      },
      connected(connected) {
        if (state.value === 'ended') return;
        state.value = connected ? 'live' : 'lost';
        if (connected) error.value = undefined;
      },
      refused: () => void whyNot(path).then((why) => (error.value = why)),
    });
  return { buffer, version, state, error, follow };
}

/** If the log can be read by now, there is no error. */
async function whyNot(path: string): Promise<ApiError | undefined> {
  try {
    await call('GET', `${path}?tail=0`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.status === 200 ? undefined : error;
  }
  return undefined;
}
