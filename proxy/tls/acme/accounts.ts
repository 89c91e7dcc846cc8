/** This machine's account at each directory. Each key is made once, and no two CAs see the same one. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'acme-client';
import { z } from 'zod';
import { makePrivateFolder, writePrivateFile } from '../../private-file.ts';
import { makeClient, nameOf } from './client.ts';
import { makeKey } from './order.ts';
import { AcmeProblem } from './problem.ts';
import type { Transport } from './transport.ts';

const Account = z.object({ directory: z.string(), url: z.url().nullable(), privateKey: z.string() });
type Account = z.infer<typeof Account>;

export class Accounts {
  readonly #folder: string;
  readonly #email: string | null;
  readonly #transport: Transport;

  /** @param email contact address for the CA */
  constructor(folder: string, email: string | null, transport: Transport) {
    this.#folder = folder;
    this.#email = email;
    this.#transport = transport;
  }

  /**
   * Runs `work` with a client that is logged in. Creates the account if there is none, which agrees to the CA's terms:
   * the operator agrees to them by configuring the CA (docs/tls.md).
   */
  async use<T>(directory: string, work: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#login(directory));
    } catch (error) {
      if (!isUnknownAccount(error)) throw error;
      // The CA has lost or closed the account: register a new one with the same key.
      const account = await this.#read(directory);
      if (account) await this.#save({ ...account, url: null });
      return work(await this.#login(directory));
    }
  }

  async #login(directory: string): Promise<Client> {
    const account = (await this.#read(directory)) ?? { directory, url: null, privateKey: makeKey() };
    // The key must be on disk before the CA knows it.
    if (account.url === null) await this.#save(account);
    const client = await makeClient(directory, account, this.#transport);
    if (account.url !== null) return client;
    await this.#register(client);
    await this.#save({ ...account, url: client.getAccountUrl() });
    return client;
  }

  async #register(client: Client): Promise<void> {
    try {
      // An earlier try may have ended after the CA created the account and before we saved its URL.
      await client.createAccount({ onlyReturnExisting: true });
    } catch (error) {
      if (!isUnknownAccount(error)) throw error;
      const contact = this.#email === null ? {} : { contact: [`mailto:${this.#email}`] };
      await client.createAccount({ termsOfServiceAgreed: true, ...contact });
    }
  }

  #path(directory: string): string {
    return join(this.#folder, `${nameOf(directory)}.json`);
  }

  /** @throws when the account cannot be read: a new one in its place would silently lose it */
  async #read(directory: string): Promise<Account | null> {
    let text: string;
    try {
      text = await readFile(this.#path(directory), 'utf8');
    } catch (error) {
      // No account yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      return Account.parse(JSON.parse(text));
    } catch {
      // The content is secret, so the message must not quote it.
      throw new AcmeProblem('ORK_ACME_ACCOUNT', `The account file ${this.#path(directory)} is damaged; remove it`);
    }
  }

  async #save(account: Account): Promise<void> {
    await makePrivateFolder(this.#folder);
    await writePrivateFile(this.#path(account.directory), `${JSON.stringify(account)}\n`);
  }
}

const isUnknownAccount = (error: unknown): boolean =>
  error instanceof AcmeProblem && error.type === 'accountDoesNotExist';
