/** A call of a language model, as a step reports it. Nothing of what was said goes in here. */
export interface ModelCall {
  /** `chat`, `text_completion`, `embeddings`, `generate_content`, … Default: `chat`. */
  readonly operation?: string;
  /** `openai`, `anthropic`, `aws.bedrock`, `gcp.gemini`, … */
  readonly provider?: string;
  /** As asked for. */
  readonly model: string;
  /** The one that answered, where it differs. */
  readonly responseModel?: string;
  readonly responseId?: string;
  readonly finishReasons?: readonly string[];
  /** In tokens. */
  readonly inputTokens?: number;
  /** In tokens. */
  readonly outputTokens?: number;
  readonly temperature?: number;
  /** In tokens. */
  readonly maxTokens?: number;
}

type Value = string | number | string[];

/** The attributes of OpenTelemetry's semantic conventions for generative AI. */
export function modelAttributes(call: ModelCall): Record<string, Value> {
  const attributes: Record<string, Value | undefined> = {
    "gen_ai.operation.name": call.operation ?? "chat",
    "gen_ai.provider.name": call.provider,
    "gen_ai.request.model": call.model,
    "gen_ai.response.model": call.responseModel,
    "gen_ai.response.id": call.responseId,
    "gen_ai.response.finish_reasons":
      call.finishReasons === undefined ? undefined : [...call.finishReasons],
    "gen_ai.request.temperature": call.temperature,
    "gen_ai.request.max_tokens": call.maxTokens,
    "gen_ai.usage.input_tokens": call.inputTokens,
    "gen_ai.usage.output_tokens": call.outputTokens,
  };
  const known: Record<string, Value> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) known[name] = value;
  }
  return known;
}
