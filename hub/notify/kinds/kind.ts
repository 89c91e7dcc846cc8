/**
 * The interface of a receiver kind. To add one: a file, its line in index.ts and in RECEIVER_KINDS (model/notice.ts), a
 * test.
 */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { ReceiverSettings } from '../../store/receivers.ts';
import type { HubConfig } from '../../config.ts';
import type { OutboundOptions, Post } from '../../outbound/post.ts';
import type { Message } from '../notice.ts';

/** What a kind may use to send a message. */
export interface SendContext {
  readonly mail: HubConfig['mail'];
  readonly hubUrl: string;
  readonly now: Date;
  readonly signal: AbortSignal;
  readonly ca?: OutboundOptions['ca'];
  readonly post: (post: Post) => Promise<void>;
}

export interface Kind {
  /** Whether its messages are signed. */
  readonly signs: boolean;
  /**
   * The part of an address that may be shown.
   * @throws OrkestrError ORK_INVALID, ORK_NOTIFY_MAIL when it is not a usable address
   */
  shown(address: string, mail: HubConfig['mail']): string;
  /** @throws OrkestrError one of ORK_NOTIFY_… */
  send(message: Message, to: ReceiverSettings, context: SendContext): Promise<void>;
}

/**
 * The path of a webhook's URL is as good as a password, so only the origin is shown.
 * @throws OrkestrError ORK_INVALID
 */
export function shownUrl(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isUsable = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  if (!isUsable || url.hash !== '') {
    throw new OrkestrError('ORK_INVALID', 'The address of a receiver must be an http(s) URL without user or fragment.');
  }
  return `${url.origin}/…`;
}

export const postJson = (address: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Post => ({
  url: new URL(address),
  headers: { 'content-type': 'application/json', 'user-agent': 'orkestr', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
