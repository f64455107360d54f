"""MPS (Kwai-Kolors/MPS, arXiv 2405.14705): a CLIP whose image features look at the words that a condition names.

Raw score: logit_scale × cosine, as the authors' evaluation on HPDv2 has it, with its condition for overall preference and its
threshold 0.3. `model` is the folder of laion/CLIP-ViT-H-14-laion2B-s32B-b79K, `checkpoint` what convert.py made of
`MPS_overall_checkpoint.pth`. The authors' repository has to be on the environment's path: its `trainer` is the network.
"""

from serve import serve

CONDITION = (
    "light, color, clarity, tone, style, ambiance, artistry, shape, face, hair, hands, limbs, structure, instance, texture, "
    "quantity, attributes, position, number, location, word, things."
)
THRESHOLD = 0.3


def load(settings):
    import torch
    from PIL import Image
    from safetensors.torch import load_file
    from trainer.models.clip_model import CLIPModel, XCLIPModel
    from trainer.models.cross_modeling import Cross_model
    from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor

    device = settings["device"]
    processor = CLIPImageProcessor.from_pretrained(settings["model"])
    tokenizer = AutoTokenizer.from_pretrained(settings["model"], trust_remote_code=False)
    state = load_file(settings["checkpoint"])
    network = CLIPModel.__new__(CLIPModel)  # its own __init__ reads CLIP's weights first
    torch.nn.Module.__init__(network)
    network.model = XCLIPModel(CLIPConfig.from_pretrained(settings["model"]))
    network.cross_model = Cross_model(dim=network.model.projection_dim, layer_num=4, heads=16)
    missing, unknown = network.load_state_dict(state, strict=False)
    odd = [name for name in (*missing, *unknown) if not name.endswith("position_ids")]
    if odd:
        raise RuntimeError(f"{settings['checkpoint']}: does not fit MPS; {odd[0]} is missing or unknown")
    kind = torch.float16 if device.startswith("cuda") else torch.float32  # the authors': float16
    network = network.to(device, kind).eval()

    def tokens(texts):
        return tokenizer(texts, max_length=77, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(
            device
        )

    @torch.inference_mode()
    def score(paths, prompts):
        pictures = [Image.open(path).convert("RGB") for path in paths]
        pixels = processor(pictures, return_tensors="pt").pixel_values.to(device, kind)
        words, whole = network.model.get_text_features(tokens(prompts))
        condition, _ = network.model.get_text_features(tokens([CONDITION]))
        alike = torch.einsum("bid,jd->bji", words, condition[0]).amax(1, keepdim=True)
        alike = alike / alike.amax(2, keepdim=True)  # the authors score one prompt at a time
        mask = torch.zeros_like(alike).masked_fill(alike <= THRESHOLD, float("-inf"))
        image = network.model.get_image_features(pixels)
        image = network.cross_model(image, words, mask.repeat(1, image.shape[1], 1))[:, 0]
        return (torch.cosine_similarity(whole, image) * network.logit_scale.exp()).float().tolist()

    return score


if __name__ == "__main__":
    serve(load, {"transformers": "4.27.3"})
