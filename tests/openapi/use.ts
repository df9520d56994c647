// Uses the generated types: a nullable field is `T | null`, an enum has its values, a time is a string.
import type { components, operations } from "./api";

type Run = components["schemas"]["RunEnded"];
type Document = components["schemas"]["DocumentView"];
type Asked = operations["StartRun"]["requestBody"]["content"]["application/json"];
type Problem = operations["GetRun"]["responses"][404]["content"]["application/problem+json"];

export const asked = { question: "When does the backup run?", collection: "reports", tools: [], metadata: {} } satisfies Asked;

export function summary(run: Run): string {
  const cost = run.cost === null ? "no cost" : String(run.cost.usd);
  const pages = run.citations.map((citation) => citation.page ?? 0);
  return `${run.answer ?? "no answer"} ${cost} ${Math.max(...pages)} ${run.started_at?.slice(0, 10) ?? ""}`;
}

export function kind(document: Document): "data" | "text" | null {
  return document.kind;
}

export function text(problem: Problem): string {
  return `${problem.code}: ${problem.detail}`;
}
