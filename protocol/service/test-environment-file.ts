/** Settings files and what systemd 252 reads from them; test/e2e/installation.test.ts asks a host's own systemd. */
interface Case {
  readonly what: string;
  readonly text: string;
  readonly settings: Readonly<Record<string, string>>;
}

export const CASES: readonly Case[] = [
  { what: 'an assignment on each line', text: 'A=1\nB=two words\n', settings: { A: '1', B: 'two words' } },
  { what: 'no end of line at the end', text: 'A=1', settings: { A: '1' } },
  {
    what: 'comments and empty lines',
    text: '# A=0\n; A=0\n\n  # A=0\nA=1 # no comment\n',
    settings: { A: '1 # no comment' },
  },
  { what: 'lines that are no assignment', text: 'nothing\nA=1\n', settings: { A: '1' } },
  { what: 'white space around', text: '  A=  1 \t\r\nB =2\n', settings: { A: '1', B: '2' } },
  { what: 'an empty value', text: 'A=\nB=""\n', settings: { A: '', B: '' } },
  { what: 'a value with =', text: 'A=b=c\n', settings: { A: 'b=c' } },
  { what: 'quotes', text: `A="a b "\nB='c "d" '\n`, settings: { A: 'a b ', B: 'c "d" ' } },
  { what: 'quotes in the middle', text: 'A=a"b"\n', settings: { A: 'a"b"' } },
  { what: 'quotes one after the other', text: `A="a" 'b' c\n`, settings: { A: 'abc' } },
  { what: 'quotes over lines', text: `A="a\nb"\nB='c\nd'\n`, settings: { A: 'a\nb', B: 'c\nd' } },
  { what: 'a quote that is not closed', text: 'A="a\nB=1', settings: { A: 'a\nB=1' } },
  { what: 'backslashes outside of quotes', text: 'A=a\\ \\"b\\\\c\\n\n', settings: { A: 'a "b\\cn' } },
  { what: 'backslashes in double quotes', text: 'A="a\\"b\\\\c\\$d\\ne"\n', settings: { A: 'a"b\\c$d\\ne' } },
  { what: 'backslashes in single quotes', text: `A='a\\"b'\n`, settings: { A: 'a\\"b' } },
  { what: 'a line that goes on', text: 'A=a \\\nb\nB="c\\\nd"\n', settings: { A: 'a b', B: 'cd' } },
  { what: 'white space that is kept by a backslash', text: 'A=a\\ \n', settings: { A: 'a ' } },
  { what: 'a name twice', text: 'A=1\nA=2\n', settings: { A: '2' } },
];
