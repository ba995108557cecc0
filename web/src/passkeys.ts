/** What the house says against what was sent, in its own words. */
class Refused extends Error {}

/**
 * Asks the authenticator of the machine to make a passkey or to sign with one, and sends what it answers.
 * Where there is neither, it stays hidden: a code does the same.
 */
class PasskeyButton extends HTMLElement {
  connectedCallback(): void {
    if (!("PublicKeyCredential" in window) || !("parseRequestOptionsFromJSON" in PublicKeyCredential)) return;
    this.hidden = false;
    this.querySelector("button")!.addEventListener("click", () => void this.#prove());
  }

  async #prove(): Promise<void> {
    const button = this.querySelector("button")!;
    const told = this.querySelector<HTMLElement>("[role=alert]")!;
    button.disabled = true;
    told.hidden = true;
    try {
      const asked = (await send(this.dataset.ask!)).public_key;
      const credential = "make" in this.dataset
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
      const name = this.querySelector<HTMLInputElement>("input[name=name]")?.value;
      const answer = { [this.dataset.field!]: (credential as PublicKeyCredential).toJSON() };
      await send(this.dataset.verify!, { ...JSON.parse(this.dataset.extra ?? "{}"), ...(name === undefined ? {} : { name }), ...answer });
      location.assign(this.dataset.next!);
    } catch (failure) {
      told.textContent = failure instanceof Refused ? failure.message : this.dataset.failed!;
      told.hidden = false;
      button.disabled = false;
    }
  }
}

async function send(address: string, said?: object): Promise<any> {
  const answer = await fetch(address, {
    method: "POST",
    headers: { Accept: "application/json", ...(said && { "Content-Type": "application/json" }) },
    body: said && JSON.stringify(said),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Refused(found.detail);
  return found;
}

customElements.define("passkey-button", PasskeyButton);
