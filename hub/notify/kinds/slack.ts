/** An incoming webhook of Slack, or of compatible services: Mattermost, Rocket.Chat, Google Chat. */
import { textOf } from '../text.ts';
import { type Kind, postJson, shownUrl } from './kind.ts';

/** Slack truncates longer texts. */
const MAX_CHARACTERS = 4000;

export const slack: Kind = {
  signs: false,
  shown: shownUrl,
  send: (message, { address }, { post }) =>
    post(postJson(address, { text: textOf(message, MAX_CHARACTERS, harmless) })),
};

/** Escapes Slack's three special characters, and breaks @ mentions, with which Mattermost would notify everybody. */
const harmless = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('@', '@\u200b');
