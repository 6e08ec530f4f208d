"""A whole conversation with a sandbox server on this machine, over real sockets. `make demo` runs it."""

from featherhq import Feather
from featherhq.sandbox import Sandbox

AGENT_ID = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"


def main() -> None:
    """Hold the conversation and print it."""
    with Sandbox() as sandbox, Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        print(f"A Feather listens on {sandbox.url}.")
        thread = feather.threads.create(AGENT_ID, metadata={"customer": "Ada"})
        print(f"Thread {thread.id}\n")
        with thread.conversation() as chat:
            for text in ("Hello!", "Where is my order?", "And when will it arrive?"):
                print(f"   you  {text}")
                print(f" agent  {chat.ask(text).text}")
            for message in chat.replies(timeout=0.3):  # the agent may have more to say
                print(f" agent  {message.text}")
        print("\nThe whole thread, as Feather keeps it:")
        for message in thread.messages():
            print(f"  {message.created_at:%H:%M:%S}  {message.direction or '':8}  {message.text}")
        thread.close("done")


if __name__ == "__main__":
    main()
