declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  /** What a component draws; only the viewer looks into it. */
  type Drawn = object | null;
  type Component = (properties: { name: string; schema: { get(key: "description"): string } }) => Drawn;

  export interface System {
    React: { createElement(kind: string | Component, properties: object | null, ...children: (Drawn | string)[]): Drawn };
    getComponent(name: string, isContainer: boolean): Component;
  }

  export interface Plugin {
    components: Record<string, Component>;
  }

  export default function SwaggerUI(options: {
    domNode: HTMLElement;
    url: string;
    validatorUrl: null;
    deepLinking: boolean;
    docExpansion: "none";
    defaultModelsExpandDepth: number;
    plugins: ((system: System) => Plugin)[];
  }): void;
}
