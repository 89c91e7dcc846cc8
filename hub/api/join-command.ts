/** The command with which a host joins this hub. */
import { INSTALLER_FILE } from '../../protocol/release.ts';
import { shellWord } from '../../protocol/shell-word.ts';

/**
 * Shell command for a host that joins.
 * @param email contact address for the CA; without it the host requests no certificates
 */
export const joinCommand = (hubUrl: string, token: string, email?: string): string =>
  `curl -fsSL ${hubUrl}/${INSTALLER_FILE} | sudo sh -s -- --hub ${hubUrl} --token ${token}` +
  (email === undefined ? '' : ` --email ${shellWord(email)}`) +
  (hubUrl.startsWith('https:') ? '' : ' --allow-http');
