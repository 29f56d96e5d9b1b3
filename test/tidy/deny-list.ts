/**
 * Habits of wording that a native reader stumbles over, and what to write instead. This file is the only
 * one in which they may stand; CONTRIBUTING.md has the rules.
 */

/** One habit. */
export interface Denied {
  readonly pattern: RegExp;
  /** What to write instead. */
  readonly instead: string;
}

const deny = (pattern: RegExp, instead: string): Denied => ({ pattern, instead });

/** Everywhere: documents, comments, docstrings, errors, help texts and test titles. */
export const denyList: readonly Denied[] = [
  deny(/\bof late\b/i, "recently"),
  deny(/\blest\b/i, "so that … not"),
  deny(/\bas of (?!now\b)/i, "same as, or since"),
  deny(/\bnobody's (business|way)\b/i, "say what does not happen"),
  deny(/\bgo(es)? round\b/i, "loops, or repeats"),
  deny(/\bon (its|their) feet\b/i, "say what it does"),
  deny(/\bjust so\b/i, "in the same way"),
  deny(/\bbelongs? into\b/i, "belongs in"),
  deny(/\bturned round\b/i, "inverted"),
  deny(/\bmakes? up for\b/i, "compensates for"),
  deny(
    /(?<!there )\bis no (accident|address|assignee|duration|error|failure|fault|integer|journal|JSON|message|moment|number|object|pair|Pawl|question|sample|stream|surprise|template|terminal|text|type|TypeScript|UTF|wait|workflow)\b/i,
    "is not a …",
  ),
  deny(/\bgo(es)? on\b|\bwent on\b/i, "continues"),
  deny(/\bside by side\b/i, "concurrently"),
  deny(/\btold apart\b|\btells? (\w+ ){1,2}apart\b/i, "distinguished"),
  deny(/\btells (whether|how|what|which|when|why|where|that|since|of)\b/i, "says, or returns"),
  deny(/\b(has|have) come\b/i, "has arrived"),
  deny(/\bas ever\b/i, "as usual"),
  deny(/\bso many\b(?! that)/i, "this many, or name the limit"),
  deny(/\bwhoever\b/i, "name the subject"),
  deny(/\blate comers?\b/i, "watchers that connect later"),
  deny(/\banswers? alike\b/i, "returns the same"),
  deny(/\banswers (how|whether|what|which)\b/i, "returns"),
];
