/** An incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat, Google Chat. */
import { textOf } from '../text.ts';
import { type Kind, postJson, shownUrl } from './kind.ts';

/** Slack cuts what is longer. */
const MOST_CHARACTERS = 4000;

export const slack: Kind = {
  signs: false,
  shown: shownUrl,
  send: (message, { address }, { post }) =>
    post(postJson(address, { text: textOf(message, MOST_CHARACTERS, harmless) })),
};

/** Slack's own three characters; and an @ that Mattermost would take for a call to everybody is none any more. */
const harmless = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('@', '@\u200b');
