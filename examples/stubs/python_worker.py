"""A complete Pawl worker without an SDK, on generated stubs alone; docs/protocol.md explains it.

    python3 python_worker.py 127.0.0.1:50051

Of the package pawl-sdk it uses only pawl.v1, which is what protoc makes of proto/pawl/v1.
"""

import os
import sys
import threading
import time

import grpc

from pawl.v1 import common_pb2, step_pb2, step_pb2_grpc, worker_pb2, worker_pb2_grpc


class Gone(BaseException):
    """The run was given back, is somebody else's, or was cancelled: stop, and report no step."""


def send(call, message):
    """Sends a message until it is answered: without an answer nobody knows what is recorded."""
    while True:
        try:
            return call(message)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise Gone(error.details()) from error  # such as LEASE_LOST
            time.sleep(0.2)


class Run:
    def __init__(self, steps, worker, lease):
        self.steps, self.worker = steps, worker
        self.id = {"run_id": lease.run_id, "fence": lease.fence}
        self.failed = []  # the steps through which it fails

    def step(self, name, effect):
        """Does the effect until its result is recorded. The key is the name: each is used once."""
        while True:
            start = send(self.steps.StepStarted, step_pb2.StepStartedRequest(
                **self.id, step_key=name, name=name, kind=common_pb2.STEP_KIND_STEP,
                request_id="the only one", retry_policy=common_pb2.RetryPolicy(max_attempts=3)))
            outcome = start.WhichOneof("outcome")
            if outcome == "replay":  # recorded: do not run it
                if start.replay.HasField("failure"):
                    self.failed = [name]  # the workflow does not catch it
                    raise RuntimeError(start.replay.failure.message)
                return start.replay.output.data
            if outcome == "wait":  # it backs off, by the server's clock: ask again, but not at once
                seconds = start.wait.until.ToNanoseconds() / 1e9 - time.time()
                time.sleep(min(max(0.2, seconds), 1))
                continue
            if outcome != "execute":  # stop: it is paused or cancelled, as a directive would say
                raise Gone(f"{outcome}: resumed is {self.leave()}")
            attempt = start.execute.attempt
            try:
                output = effect(start.execute.idempotency_key, attempt)
            except Exception as error:
                send(self.steps.StepFailed, step_pb2.StepFailedRequest(
                    **self.id, step_key=name, attempt=attempt,
                    failure=common_pb2.Failure(type=type(error).__name__, message=str(error))))
                continue  # it backs off, or has failed finally: the server says which
            send(self.steps.StepCompleted, step_pb2.StepCompletedRequest(
                **self.id, step_key=name, attempt=attempt, output=common_pb2.Payload(data=output)))
            return output  # only now is the result real

    def sleep(self, name, seconds):
        """Registers a timer, and gives the run back until the server wakes it."""
        while True:
            start = step_pb2.StepStartedRequest(
                **self.id, step_key=f"sleep:{name}", name=name, kind=common_pb2.STEP_KIND_SLEEP)
            start.wait.duration.FromMilliseconds(int(seconds * 1000))
            if send(self.steps.StepStarted, start).HasField("replay"):
                return  # it has fired
            if not self.leave():
                raise Gone("suspended")

    def leave(self):
        """Gives the run back; true: it has more to do here."""
        return send(self.worker.SuspendRun, worker_pb2.SuspendRunRequest(**self.id)).resumed

    def perform(self, workflow):
        """Does a run from its beginning; what is recorded is skipped."""
        try:
            try:
                output = common_pb2.Payload(data=workflow(self))
                send(self.worker.CompleteRun, worker_pb2.CompleteRunRequest(**self.id, output=output))
            except Exception as error:
                self.fail(error)
        except Gone as why:  # LEASE_LOST, perhaps: a heartbeat says whether the run was cancelled
            print("the run has left this worker:", why, flush=True)
            request = worker_pb2.HeartbeatLeasesRequest(leases=[common_pb2.Lease(**self.id)])
            told = send(self.worker.HeartbeatLeases, request).results[0]
            if told.status == worker_pb2.LEASE_STATUS_CANCEL:
                self.id["fence"] = told.fence
                self.fail(why)

    def fail(self, error):
        failure = common_pb2.Failure(type=type(error).__name__, message=str(error))
        send(self.worker.FailRun, worker_pb2.FailRunRequest(
            **self.id, failure=failure, failed_step_keys=self.failed))


def charge(key, attempt):  # the key is the same for all attempts: payment systems can tell by it
    print(key, attempt, flush=True)
    if attempt == 1:
        raise ConnectionError("no answer")
    return b'"paid"'


def order(run):
    run.step("charge", charge)
    run.sleep("nap", 1.5)
    return run.step("ship", charge)


def keep(worker, lease, done):  # should it be lost, the answers to the steps say so
    while not done.wait(5):
        send(worker.HeartbeatLeases, worker_pb2.HeartbeatLeasesRequest(leases=[lease]))


channel = grpc.insecure_channel(sys.argv[1])
steps, worker = step_pb2_grpc.StepServiceStub(channel), worker_pb2_grpc.WorkerServiceStub(channel)
info = worker_pb2.WorkerInfo(worker_id="stub", instance_id=f"stub-{os.getpid()}",
                             workflows=[worker_pb2.WorkflowSpec(name="stub-order")])
while True:
    for item in send(worker.PollWork, worker_pb2.PollWorkRequest(worker=info)).items:
        done = threading.Event()  # one run at a time; start this program more often for more
        threading.Thread(target=keep, args=(worker, item.lease, done), daemon=True).start()
        run = Run(steps, worker, item.lease)
        try:
            if item.cancelling:  # only a clean-up is left, and this workflow has none
                run.fail(Gone("cancelled"))
            else:
                run.perform(order)
        except Gone as why:
            print("the end of the run is not for this worker to tell:", why, flush=True)
        done.set()
