/**
 * grpc.reflection.v1 and v1alpha, which differ in name only: how grpcurl and the like learn what
 * is served, from the descriptors that the generated code carries.
 */
import { type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@pawl/proto/google/rpc/error_details_pb.js";
import { file_google_rpc_status } from "@pawl/proto/google/rpc/status_pb.js";
import {
  type ServerReflectionRequest as RequestV1,
  ServerReflection as ServerReflectionV1,
} from "@pawl/proto/grpc/reflection/v1/reflection_pb.js";
import {
  type ServerReflectionRequest as RequestV1Alpha,
  ServerReflection as ServerReflectionV1Alpha,
} from "@pawl/proto/grpc/reflection/v1alpha/reflection_pb.js";
import { CODES } from "../../model/errors.ts";
import { type Binding, duplex } from "../binding.ts";

type Question = RequestV1["messageRequest"] | RequestV1Alpha["messageRequest"];

/** @param listed the services that tools are told of; these two are added */
export function reflectionService(listed: readonly DescService[]): Binding[] {
  const services = [...listed, ServerReflectionV1, ServerReflectionV1Alpha];
  let index: FileIndex | undefined;
  const answer = (question: Question) => {
    index ??= indexFiles(services);
    return answerQuestion(question, services, index);
  };
  return [
    duplex(ServerReflectionV1.method.serverReflectionInfo, (stream) => {
      stream.start({
        message(request) {
          const messageResponse = answer(request.messageRequest);
          const response = { validHost: request.host, originalRequest: request, messageResponse };
          stream.write(response, () => undefined);
        },
        undecodable: (error) => stream.end(error),
        ended: () => stream.end(),
      });
    }),
    duplex(ServerReflectionV1Alpha.method.serverReflectionInfo, (stream) => {
      stream.start({
        message(request) {
          const messageResponse = answer(request.messageRequest);
          const response = { validHost: request.host, originalRequest: request, messageResponse };
          stream.write(response, () => undefined);
        },
        undecodable: (error) => stream.end(error),
        ended: () => stream.end(),
      });
    }),
  ];
}

interface FileIndex {
  readonly byName: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
}

function indexFiles(services: readonly DescService[]): FileIndex {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  // Errors carry messages that no RPC mentions.
  const open: DescFile[] = [file_google_rpc_status, file_google_rpc_error_details];
  open.push(...services.map((service) => service.file));
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (byName.has(file.proto.name)) continue;
    byName.set(file.proto.name, file);
    open.push(...file.dependencies);
    for (const symbol of symbolsOf(file)) bySymbol.set(symbol, file);
  }
  return { byName, bySymbol };
}

function symbolsOf(file: DescFile): string[] {
  const inMessage = (message: DescMessage): string[] => [
    message.typeName,
    ...message.fields.map((field) => `${message.typeName}.${field.name}`),
    ...message.nestedEnums.map((nested) => nested.typeName),
    ...message.nestedMessages.flatMap(inMessage),
  ];
  return [
    ...file.messages.flatMap(inMessage),
    ...file.enums.map((type) => type.typeName),
    ...file.extensions.map((extension) => extension.typeName),
    ...file.services.flatMap((service) => [
      service.typeName,
      ...service.methods.map((method) => `${service.typeName}.${method.name}`),
    ]),
  ];
}

/** The file, then all that it imports; each before what it imports itself. */
function serialized(file: DescFile): Uint8Array[] {
  const seen = new Set<DescFile>();
  const importedFirst: DescFile[] = [];
  const visit = (one: DescFile): void => {
    if (seen.has(one)) return;
    seen.add(one);
    for (const dependency of one.dependencies) visit(dependency);
    importedFirst.push(one);
  };
  visit(file);
  return importedFirst.reverse().map((one) => toBinary(FileDescriptorProtoSchema, one.proto));
}

function found(file: DescFile | undefined, what: string) {
  if (file === undefined) return refusal(CODES.NOT_FOUND, `This server has no ${what}.`);
  const value = { fileDescriptorProto: serialized(file) };
  return { case: "fileDescriptorResponse" as const, value };
}

function refusal(errorCode: number, errorMessage: string) {
  return { case: "errorResponse" as const, value: { errorCode, errorMessage } };
}

function answerQuestion(question: Question, services: readonly DescService[], index: FileIndex) {
  switch (question.case) {
    case "listServices": {
      const value = { service: services.map((service) => ({ name: service.typeName })) };
      return { case: "listServicesResponse" as const, value };
    }
    case "fileByFilename":
      return found(index.byName.get(question.value), `file ${question.value}`);
    case "fileContainingSymbol":
      return found(index.bySymbol.get(question.value), `symbol ${question.value}`);
    case "allExtensionNumbersOfType": {
      if (!index.bySymbol.has(question.value)) {
        return refusal(CODES.NOT_FOUND, `This server has no type ${question.value}.`);
      }
      const value = { baseTypeName: question.value, extensionNumber: [] };
      return { case: "allExtensionNumbersResponse" as const, value };
    }
    case "fileContainingExtension":
      return refusal(CODES.NOT_FOUND, "This server has no extensions.");
    default:
      return refusal(CODES.INVALID_ARGUMENT, "The server does not know what the request asks for.");
  }
}
