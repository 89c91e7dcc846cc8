/** A webhook of a Discord channel. */
import { textOf } from '../text.ts';
import { type Kind, postJson, shownUrl } from './kind.ts';

/** Discord rejects longer texts. */
const MAX_CHARACTERS = 2000;

export const discord: Kind = {
  signs: false,
  shown: shownUrl,
  send: (message, { address }, { post }) =>
    // Names in an error message must not mention anybody.
    post(postJson(address, { content: textOf(message, MAX_CHARACTERS, harmless), allowed_mentions: { parse: [] } })),
};

/** Prevents links whose text hides their target. */
const harmless = (text: string): string => text.replaceAll('[', '\\[');
