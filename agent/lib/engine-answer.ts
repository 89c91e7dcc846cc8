/**
 * JSON lines, the format of an engine's responses to build, load, push and pull, and of its events. An error among them
 * comes with status 200.
 */
import { z } from 'zod';

const MAX_LINE_BYTES = 16 * 1_048_576;

export const AnswerLine = z.object({
  id: z.string().optional(),
  /** base64 for BuildKit's trace; an object for the id of the image, or the digest of a pushed one. */
  aux: z.union([z.string(), z.object({ ID: z.string().optional(), Digest: z.string().optional() })]).optional(),
  /** For a push or pull: the state of layer `id`, and its progress, bytes. */
  status: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).nullish(),
  /** Text for people; for a load, also the id of an image without a name. */
  stream: z.string().optional(),
  error: z.string().optional(),
});
export type AnswerLine = z.infer<typeof AnswerLine>;

/** Reads to the end and passes each line to `onLine`. Returns the error that the engine reported, or null. */
export async function readAnswer(
  stream: NodeJS.ReadableStream,
  onLine: (line: AnswerLine) => void = () => undefined,
): Promise<{ readonly error: string | null }> {
  let error: string | null = null;
  for await (const text of linesOf(stream)) {
    const line = AnswerLine.parse(JSON.parse(text));
    error ??= line.error ?? null;
    onLine(line);
  }
  return { error };
}

/** The lines of a stream as they arrive, without empty ones. */
export async function* linesOf(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_BYTES) throw new Error('The engine sent an endless line.');
    yield* lines.filter((line) => line.trim() !== '');
  }
  if (rest.trim() !== '') yield rest;
}
