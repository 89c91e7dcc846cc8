/**
 * JSON for programs, signed according to the Standard Webhooks specification: HMAC-SHA256 over id, timestamp and body.
 * Libraries in many languages can verify it.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Message } from '../notice.ts';
import { type Kind, postJson, shownUrl } from './kind.ts';

/** Incremented when a field is removed or changes its meaning; new fields do not change it. */
const VERSION = 1;
const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 32;

export const webhook: Kind = {
  signs: true,
  shown: shownUrl,
  async send(message, { address, secret }, { now, post }) {
    const body = JSON.stringify(bodyOf(message));
    // The time of this attempt: a receiver drops old messages, which prevents replays.
    const timestamp = String(Math.floor(now.getTime() / 1000));
    await post(
      postJson(address, body, {
        'webhook-id': message.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${sign(secret ?? '', message.id, timestamp, body)}`,
      }),
    );
  },
};

export const makeWebhookSecret = (): string => SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');

const bodyOf = ({ id, notices, leftOut }: Message) => ({ version: VERSION, id, notices, leftOut });

const sign = (secret: string, id: string, timestamp: string, body: string): string =>
  createHmac('sha256', Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64'))
    .update(`${id}.${timestamp}.${body}`)
    .digest('base64');
