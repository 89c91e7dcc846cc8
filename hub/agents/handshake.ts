/** Identity of a connection, and its proof. */
import { type AgentMessage, helloProof } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { isSignedBy } from '../../protocol/signing.ts';
import type { Db } from '../store/database.ts';
import { findHostById } from '../store/hosts.ts';
import type { Row } from '../store/schema.ts';
import { readAgentMessage } from './frames.ts';

export type Hello = Extract<AgentMessage, { type: 'hello' }>;

/** The first message. @throws OrkestrError ORK_PROTOCOL when it is not a hello */
export function readHello(data: Buffer, isBinary: boolean): Hello {
  const message = readAgentMessage(data, isBinary);
  if (message.type === 'hello') return message;
  throw new OrkestrError('ORK_PROTOCOL', 'The first message must be a hello.');
}

/** The host whose key signed the challenge. @throws OrkestrError ORK_SIGNATURE */
export async function provenHost(db: Db, nonce: string, hello: Hello): Promise<Row<'host'>> {
  const host = await findHostById(db, hello.hostId);
  const proof = helloProof(nonce, hello.hostId, hello.nonce);
  if (host?.public_key == null || !isSignedBy(proof, hello.signature, host.public_key)) throw unknownHost();
  return host;
}

/** Detects a host that was revoked or deleted during the handshake. @throws OrkestrError ORK_SIGNATURE */
export async function checkStillEnrolled(db: Db, { id, public_key }: Row<'host'>): Promise<void> {
  if ((await findHostById(db, id))?.public_key !== public_key) throw unknownHost();
}

const unknownHost = (): OrkestrError =>
  new OrkestrError('ORK_SIGNATURE', 'This hub knows no host with this id and key.');
