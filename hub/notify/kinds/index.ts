/** All kinds of receivers. */
import type { ReceiverKind } from '../../model/notice.ts';
import { discord } from './discord.ts';
import { email } from './email.ts';
import type { Kind } from './kind.ts';
import { slack } from './slack.ts';
import { webhook } from './webhook.ts';

export const KINDS: Readonly<Record<ReceiverKind, Kind>> = { webhook, slack, discord, email };
